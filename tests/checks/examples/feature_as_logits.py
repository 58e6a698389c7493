import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.examples.loss_does_not_reach_head import centres
from tests.checks.tiny import Model, TinyTraining


class TurnedAround(TinyTraining):
    """`if not self.training: return score`: in training the BN feature comes out."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model.neck(self.model.base(images)), labels)


class TwoExchanged(TinyTraining):
    """`feature, score = model(images)`: CE is given the pooled feature, and the metric loss the scores."""

    identities = 16

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.base(images).unflatten(1, (32, 16)).mean(2)  # (B, 32)
        score = F.linear(feature, self.model.classifier.weight[:, :32])
        return F.cross_entropy(feature, labels) + 0.01 * centres(score, labels)


class Parts(TinyTraining):
    """MGN's list of outputs: a reduced feature, and then the scores of three heads."""

    begin = 1  # of the scores

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.reduce = nn.Sequential(nn.Linear(512, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU())
        model.parts = nn.ModuleList(nn.Linear(64, self.identities, bias=False) for _ in range(2))
        return model

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.base(images)
        reduced = self.model.reduce(feature)
        scores = [self.model.classifier(self.model.neck(feature)), *(part(reduced) for part in self.model.parts)]
        losses = [F.cross_entropy(score, labels) for score in [reduced, *scores][self.begin :]]
        return torch.stack(losses).mean()


class OffByOne(Parts):
    begin = 0


class ListsExchanged(Parts):
    """`return softmax, triplet` where `triplet, softmax` is taken: the metric loss goes through the classifier."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        reduced = self.model.reduce(self.model.base(images))
        scores = torch.stack([part(reduced) for part in self.model.parts]).mean(0)
        return F.cross_entropy(reduced, labels) + 0.01 * centres(scores, labels)


class NormalisedLogits(TinyTraining):
    """A batch norm without scale and shift behind the classifier."""

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.classifier = nn.Sequential(model.classifier, nn.BatchNorm1d(self.identities, affine=False))
        return model


class FullyConvolutional(TinyTraining):
    """A map of scores for each identity, normalised, without its negative part, and pooled: as SqueezeNet's head."""

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.classifier = nn.Sequential(
            nn.Conv2d(32, self.identities, 4, bias=False), nn.BatchNorm2d(self.identities), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        return model

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        maps = self.model.base(images).unflatten(1, (32, 4, 4))
        return F.cross_entropy(self.model.classifier(maps), labels)


class PooledScores(FullyConvolutional):
    """A 1x1 convolution as the classifier, and its scores pooled over the places."""

    lr_head, lr_backbone = 3e-2, 3e-3

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.classifier = nn.Sequential(nn.Conv2d(32, self.identities, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return model


SICK = [TurnedAround, TwoExchanged, OffByOne, ListsExchanged]
HEALTHY = [Parts, NormalisedLogits, FullyConvolutional, PooledScores]
