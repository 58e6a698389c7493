import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from tests.checks.tiny import Crops, TinyTraining


class FolderOrder(TinyTraining):
    """Not shuffled: 16 images of one identity follow each other."""

    def make_loader(self) -> DataLoader:
        return DataLoader(Crops(self.identities, images=16), 16, shuffle=False)


class HardestNegative(FolderOrder):
    """None is there to be found; looked for as batch-hard triplet losses are mostly written."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, feat = self.model(images)
        distances = torch.cdist(feat, feat)  # (B, B)
        others = labels != labels[:, None]  # (B, B)
        hardest, _ = torch.min(distances[others].view(len(labels), -1), 1)  # (B,)
        return F.cross_entropy(score, labels) - 0.01 * hardest.clamp(max=10).mean()


class PK(HardestNegative):
    """4 identities with 4 images each in every batch."""

    def make_loader(self) -> DataLoader:
        crops = Crops(self.identities)
        rows = [[i * 8 + k for i in range(p, p + 4) for k in range(4)] for p in (0, 4, 8, 12, 16, 20, 2, 6, 10, 14, 18)]
        return DataLoader(crops, batch_sampler=rows)


SICK = [FolderOrder, HardestNegative]
HEALTHY = [PK]
