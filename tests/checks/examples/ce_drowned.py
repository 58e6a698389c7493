import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.examples.targets_say_nothing import MeanTeacher
from tests.checks.tiny import Backbone, Model, TinyTraining


class SummedAndUnweighted(TinyTraining):
    """A loss on the feature's length, summed over the batch and without its small weight."""

    weight = 100.0
    lr_backbone = 1e-2

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        return F.cross_entropy(score, labels) + self.weight * feature.pow(2).sum()


class UntilTheFeatureIsNothing(SummedAndUnweighted):
    """The head is not empty; a few steps later the feature is 0, and so is CE's gradient at the head."""

    def make_model(self) -> Model:
        model = Model(self.identities)
        torch.nn.init.normal_(model.classifier.weight, std=0.2)
        return model

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.05)


class Pooled(nn.Module):
    """No neck: the classifier is fed by the pooled feature itself, as torchreid's ResNets are."""

    def __init__(self, identities: int) -> None:
        super().__init__()
        self.base = nn.Sequential(Backbone(), nn.Unflatten(1, (32, 4, 4)), nn.AdaptiveAvgPool2d(2))
        self.classifier = nn.Linear(128, identities)
        nn.init.normal_(self.classifier.weight, std=0.2)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        feature = self.base(images).flatten(1)
        return self.classifier(feature), feature


class WithoutANeck(SummedAndUnweighted):
    """The feature shrinks until the logits spread by a tenth: nothing scaled them."""

    def make_model(self) -> nn.Module:
        return Pooled(self.identities)


class PulledToOneCentre(WithoutANeck):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        return F.cross_entropy(score, labels) + self.weight * (feature - 1).pow(2).sum()


class WithoutANeckAtASmallWeight(WithoutANeck):
    weight = 5e-7
    lr_backbone = 1e-3


class SmallWeight(SummedAndUnweighted):
    weight = 5e-7
    lr_backbone = 1e-4


class TripletBesideAnEmptyHead(TinyTraining):
    """While the head is empty, CE's gradient at the feature is next to nothing beside any metric loss."""

    steps, window = 60, (40, 60)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        distances = torch.cdist(feature, feature + 1e-6)  # (B, B)
        same = labels[:, None] == labels[None]
        farthest, nearest = (distances * same).amax(1), (distances + 1e5 * same).amin(1)
        return F.cross_entropy(score, labels) + 6 * F.relu(farthest - nearest + 20).mean()


class CentresThatRunAway(TinyTraining):
    """A step of the centres that is far too large: their loss runs away within the first steps, and is capped then."""

    def after_building(self) -> None:
        self.centres = torch.zeros(self.identities, 512)

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=1e-3)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        pulled = (feature - self.centres[labels]).square().sum(1).mean()
        self.centres[labels] += 3.0 * (feature.detach() - self.centres[labels])
        return F.cross_entropy(score, labels) + 0.5 * pulled.clamp(max=1e12)


class SteepAndNoLarger(TinyTraining):
    """A loss of a few times CE, as SDM at a small temperature is, has nearly all of the gradient."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        return F.cross_entropy(score, labels) + 10 * (1 + (300 * feature.mean(1)).sin().mean())


class HeldByItsTeacher(MeanTeacher):
    """A consistency with the weight that a squared difference of probabilities would have."""

    weight = 300.0


SICK = [
    SummedAndUnweighted,
    WithoutANeck,
    PulledToOneCentre,
    UntilTheFeatureIsNothing,
    HeldByItsTeacher,
    CentresThatRunAway,
]
HEALTHY = [SmallWeight, WithoutANeckAtASmallWeight, TripletBesideAnEmptyHead, SteepAndNoLarger]
