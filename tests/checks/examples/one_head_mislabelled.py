import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from tests.checks.tiny import Crops, Model, TinyTraining


class Parts(TinyTraining):
    """Three heads, each on a part of the feature; their CEs are summed up."""

    steps = 110
    window = (60, 100)

    def make_dataset(self) -> Dataset[tuple[Tensor, int]]:
        return Crops(self.identities, images=40)

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.parts = nn.ModuleList(nn.Linear(128, self.identities, bias=False) for _ in range(2))
        return model

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.parameters(), lr=1e-3)

    def labels_of(self, part: int, labels: Tensor) -> Tensor:
        return labels

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        feature = self.model.neck(feature)  # (B, 512)
        scores = [score, *(head(2 * f) for head, f in zip(self.model.parts, feature.split(128, 1)[:2], strict=True))]
        losses = [F.cross_entropy(one, self.labels_of(part, labels)) for part, one in enumerate(scores)]
        return torch.stack(losses).sum()


class OnePartRolled(Parts):
    def labels_of(self, part: int, labels: Tensor) -> Tensor:
        return labels.roll(1) if part == 2 else labels


class OnePartShuffled(Parts):
    def labels_of(self, part: int, labels: Tensor) -> Tensor:
        return labels[torch.randperm(len(labels))] if part == 1 else labels


class TheJudgedOneShuffled(Parts):
    def labels_of(self, part: int, labels: Tensor) -> Tensor:
        return labels[torch.randperm(len(labels))] if part == 0 else labels


class PartsMixedUp(Parts):
    """Mixup: each head has both images' labels."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        order = torch.randperm(len(labels))
        mixed = 0.8 * images + 0.2 * images[order]
        return 0.8 * super().loss(mixed, labels) + 0.2 * super().loss(mixed, labels[order])


class RowsShuffledWithTheirLabels(Parts):
    """A part's rows in another order, as ShuffleBN has them, and their labels with them."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feature = self.model(images)
        order = torch.randperm(len(labels))
        part = self.model.parts[0](self.model.neck(feature)[order, :128])
        return F.cross_entropy(score, labels) + F.cross_entropy(part, labels[order])


SICK = [OnePartRolled, OnePartShuffled, TheJudgedOneShuffled]
HEALTHY = [Parts, PartsMixedUp, RowsShuffledWithTheirLabels]
