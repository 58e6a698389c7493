import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from tests.checks.tiny import Crops, TinyTraining


class MinedByRows(TinyTraining):
    """As batch-hard triplet losses are mostly written, and a batch that is drawn at random."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feat = self.model(images)
        distances = torch.cdist(feat, feat)  # (B, B)
        same = labels == labels[:, None]  # (B, B)
        positive = distances[same].view(len(labels), -1).amax(1)  # (B,)
        negative = distances[~same].view(len(labels), -1).amin(1)  # (B,)
        return F.cross_entropy(score, labels) + 0.01 * (positive - negative).clamp(min=-10, max=10).mean()


class NegativesByRows(TinyTraining):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feat = self.model(images)
        distances = torch.cdist(feat, feat)
        others = distances[labels != labels[:, None]].contiguous().view(labels.size(0), -1)
        return F.cross_entropy(score, labels) - 0.01 * others.amin(1).clamp(max=10).mean()


class PK(MinedByRows):
    """4 identities with 4 images each in every batch."""

    def make_loader(self) -> DataLoader:
        rows = [[i * 8 + k for i in range(p, p + 4) for k in range(4)] for p in (0, 4, 8, 12, 16, 20, 2, 6, 10, 14, 18)]
        return DataLoader(Crops(self.identities), batch_sampler=rows)


SICK = [MinedByRows, NegativesByRows]
HEALTHY = [PK]
