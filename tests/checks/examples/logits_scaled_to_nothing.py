import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.tiny import Crops, Model, TinyTraining


class TemperatureTheWrongWay(TinyTraining):
    """`* 0.001` where `/ 0.001` was meant, give or take."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(images)[0] * 0.001, labels)


class CosineWithoutScale(TinyTraining):
    scale = 1.0
    noise = 6.0

    def make_dataset(self) -> Crops:
        return Crops(self.identities, noise=self.noise)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = F.normalize(self.model.bottleneck(self.model.base(images)))
        return F.cross_entropy(self.scale * F.linear(feature, F.normalize(self.model.classifier.weight)), labels)


class OnlyTheFeatureIsCut(TinyTraining):
    """The feature has length 1, and the head's weights have all their length to grow yet."""

    steps, window = 60, (40, 60)
    lr_head = 1e-3

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = F.normalize(self.model.bottleneck(self.model.base(images)))
        return F.cross_entropy(self.model.classifier(feature), labels)


class OnItsWayAndTooSlow(OnlyTheFeatureIsCut):
    """Logits that spread by more than NARROW, far from where CE would be under the bar."""

    identities = 200
    steps, window = 50, (35, 50)
    lr_head = 2e-2

    def make_dataset(self) -> Crops:
        return Crops(self.identities, noise=5.0)


class Cosine(CosineWithoutScale):
    scale = 30.0
    noise = 1.5


class CosinesThatGetTheirLengthBack(TinyTraining):
    """As SphereFace, and pytorch-metric-learning's LargeMarginSoftmaxLoss: the feature's length is what scales them."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.neck(self.model.base(images))
        cosines = F.linear(F.normalize(feature), F.normalize(self.model.classifier.weight))
        return F.cross_entropy(cosines * feature.norm(dim=1, keepdim=True), labels)


class NeckThatBeginsAtZero(TinyTraining):
    """`nn.init.constant_(m.weight, 0.0)` for all norms but those of the backbone; Adam takes it up by lr a step."""

    neck_begins_at = 0.0
    lr_head = lr_backbone = 1e-4

    def after_building(self) -> None:
        nn.init.constant_(self.model.bottleneck.weight, self.neck_begins_at)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model.classifier(self.model.bottleneck(self.model.base(images))), labels)


class NeckThatBeginsAtOne(NeckThatBeginsAtZero):
    neck_begins_at = 1.0
    lr_head = 1e-3


class Towers(Model):
    """Of images and of identities, joined by nothing but their cosines; the second one is random, and may be frozen."""

    def __init__(self, identities: int) -> None:
        super().__init__(identities)
        del self.classifier
        self.text = nn.Sequential(nn.Embedding(identities, 64), nn.Linear(64, 512))
        self.logit_scale = nn.Parameter(torch.tensor(14.0).log())


class TwoTowersWithoutScale(TinyTraining):
    """As CLIP has it: which text of the batch belongs to which image. No class has a weight."""

    lr = 1e-4
    scaled = False
    frozen = False

    def make_model(self) -> Towers:
        model = Towers(self.identities)
        model.text.requires_grad_(not self.frozen)
        return model

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam([p for p in self.model.parameters() if p.requires_grad], lr=self.lr)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        image = self.model.bottleneck(self.model.base(images))
        text = self.model.text(labels)
        image, text = image / image.norm(dim=1, keepdim=True), text / text.norm(dim=1, keepdim=True)
        scale = self.model.logit_scale.exp() if self.scaled else 1.0
        rows = torch.arange(len(labels))
        of_images = F.cross_entropy(scale * image @ text.t(), rows)
        return (of_images + F.cross_entropy(scale * text @ image.t(), rows)) / 2


class OfAFrozenTower(TwoTowersWithoutScale):
    frozen = True


class TwoTowers(TwoTowersWithoutScale):
    steps = 60
    window = (40, 60)
    lr = 1e-3
    scaled = True


class TowersOneOfThemFrozen(TwoTowers):
    frozen = True


SICK = [
    TemperatureTheWrongWay, CosineWithoutScale, TwoTowersWithoutScale, OfAFrozenTower, OnlyTheFeatureIsCut,
    OnItsWayAndTooSlow, NeckThatBeginsAtZero,
]  # fmt: skip
HEALTHY = [Cosine, CosinesThatGetTheirLengthBack, NeckThatBeginsAtOne, TwoTowers, TowersOneOfThemFrozen]
