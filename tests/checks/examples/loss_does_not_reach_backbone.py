from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.centres import WithCentres
from tests.checks.memory_bank import Follow, MemoryBank
from tests.checks.tiny import Model, TinyTraining


class Detached(TinyTraining):
    steps = 40
    window = (20, 40)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.base(images).detach()
        return F.cross_entropy(self.model.classifier(self.model.neck(feature)), labels)


class NoGrad(TinyTraining):
    steps = 40
    window = (20, 40)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            feature = self.model.neck(self.model.base(images))
        return F.cross_entropy(self.model.classifier(feature), labels)


class PartsThroughNumpy(TinyTraining):
    """A part's own layer, as PCB has it, still learns."""

    steps = 40
    window = (20, 40)

    def after_building(self) -> None:
        self.reduce = nn.Linear(512, 512)
        self.optimizer.add_param_group({"params": self.reduce.parameters(), "lr": 1e-4})

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        part = torch.from_numpy(self.model.base(images).detach().numpy())
        return F.cross_entropy(self.model.classifier(self.model.neck(self.reduce(part))), labels)


class LeafWithoutFollowUp(TinyTraining):
    """The feature asks for a gradient, and nobody hands it on."""

    def feature(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            feature = self.model.base(images)
        return feature.requires_grad_()

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        self.leaf = self.feature(images)
        return F.cross_entropy(self.model.classifier(self.model.neck(self.leaf)), labels)


class GradCache(LeafWithoutFollowUp):
    """Features first, all of a large batch and without a graph; then their gradients, a few images at a time."""

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()
        self.loss(images, labels).backward()
        assert self.leaf.grad is not None
        for some, gradients in zip(images.split(4), self.leaf.grad.split(4), strict=True):
            self.model.base(some).backward(gradients)
        self.optimizer.step()


class TrunkUnderNoGrad(TinyTraining):
    """pytorch-metric-learning: trunk and embedder are two models, with an optimizer each."""

    steps = 40
    window = (20, 40)

    def after_building(self) -> None:
        self.trunk = nn.Sequential(self.model.base, nn.Unflatten(1, (32, 4, 4)), nn.Conv2d(32, 32, 3, padding=1))
        self.model.base = nn.Sequential(nn.Flatten(), nn.Linear(512, 512))
        self.optimizer = self.make_optimizer()
        self.of_trunk = torch.optim.AdamW(self.trunk.parameters(), lr=1e-4)

    def given(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self.trunk(images)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(self.given(images), labels)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.of_trunk.zero_grad()
        super().train_step(images, labels)
        self.of_trunk.step()


class TrunkAndEmbedder(TrunkUnderNoGrad):
    steps, window = 60, (40, 60)

    def given(self, images: Tensor) -> Tensor:
        return self.trunk(images)


class DetachedBesideCentres(WithCentres):
    """The loss still reaches the centres, which are no backbone."""

    steps = 40
    window = (20, 40)

    def feature(self, images: Tensor) -> Tensor:
        return super().feature(images).detach()


class DetachedForTheHead(TinyTraining):
    """A metric loss trains the backbone; CE falls, and it is a warning."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.base(images)
        pairs = (feature[:, None] - feature[None]).pow(2).mean(2)  # (B, B)
        same = labels[:, None] == labels[None]
        triplets = F.relu((pairs * same).amax(1) - (pairs + 1e9 * same).amin(1) + 0.3).mean()
        return F.cross_entropy(self.model.classifier(self.model.neck(feature.detach())), labels) + triplets


class DetachedBesideAttributes(TinyTraining):
    """Colours and types are told from the same feature, and train it; the identities' head is cut off."""

    def after_building(self) -> None:
        self.colour = nn.Linear(512, 3)
        self.optimizer.add_param_group({"params": self.colour.parameters(), "lr": 1e-3})

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.base(images)
        of_colour = F.cross_entropy(self.colour(feature), labels % 3)
        return F.cross_entropy(self.model.classifier(self.model.neck(self.given(feature))), labels) + 0.1 * of_colour

    def given(self, feature: Tensor) -> Tensor:
        return feature.detach()


class ProbedBesideIdentities(DetachedBesideAttributes):
    """The other way round: what is only looked at is the colour."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.base(images)
        of_colour = F.cross_entropy(self.colour(feature.detach()), labels % 3)
        return F.cross_entropy(self.model.classifier(self.model.neck(feature)), labels) + 0.1 * of_colour


class DetachedBeforeAHeadOfItsOwn(TinyTraining):
    """Simple-CCReID: the classifier is another module, and one optimizer holds both."""

    steps = 40
    window = (20, 40)

    def make_model(self) -> Model:
        model = Model(self.identities)
        self.head = model.classifier
        del model.classifier
        return model

    def head_parameters(self) -> list[nn.Parameter]:
        return list(self.head.parameters())

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.head(self.model.neck(self.model.base(images)).detach()), labels)


class DetachedBetweenTwoOptimizers(DetachedBeforeAHeadOfItsOwn):
    def make_optimizer(self) -> torch.optim.Optimizer:
        self.of_backbone = torch.optim.AdamW(self.model.parameters(), self.lr_backbone)
        return torch.optim.AdamW(self.head_parameters(), self.lr_head)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.of_backbone.zero_grad()
        super().train_step(images, labels)
        self.of_backbone.step()


class TwoOptimizers(DetachedBetweenTwoOptimizers):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.head(self.model.neck(self.model.base(images))), labels)


class OnlyAProbe(DetachedBeforeAHeadOfItsOwn):
    """What the features learn from goes backward by itself; the head only tells how good they are."""

    steps = 60
    window = (40, 60)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()
        feature = F.normalize(self.model.bottleneck(self.model.base(images)))
        same = labels[:, None] == labels[None]
        (-(feature @ feature.T) * (same.float() - same.float().mean())).mean().backward()
        self.loss(images, labels).backward()
        self.optimizer.step()


class Frozen(TinyTraining):
    """requires_grad=False is intent, and its no_grad is thrift."""

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.base.requires_grad_(False)
        return model

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            feature = self.model.base(images)
        return F.cross_entropy(self.model.classifier(self.model.neck(feature)), labels)


class SwallowedByAMemory(MemoryBank):
    """`ctx.needs_input_grad[1]`, which is of the labels; a metric loss trains the backbone all the same."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model(images)
        scores = FollowAndKeep.apply(feature, labels, self.memory)
        return F.cross_entropy(scores / 0.1, labels) + 0.1 * (feature.roll(1, 0) * feature).sum(1).mean()


class FollowAndKeep(Follow):
    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        gradient, *others = Follow.backward(ctx, *gradients)
        return (gradient if ctx.needs_input_grad[1] else None, *others)


SICK = [
    Detached, NoGrad, PartsThroughNumpy, DetachedBesideCentres, DetachedForTheHead, DetachedBeforeAHeadOfItsOwn,
    DetachedBetweenTwoOptimizers, TrunkUnderNoGrad, DetachedBesideAttributes, LeafWithoutFollowUp,
    SwallowedByAMemory,
]  # fmt: skip
HEALTHY = [Frozen, OnlyAProbe, TwoOptimizers, TrunkAndEmbedder, ProbedBesideIdentities, GradCache, MemoryBank]
