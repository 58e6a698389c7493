from torch.utils.data import DataLoader

from tests.checks.tiny import Crops, TinyTraining


class FolderOrder(TinyTraining):
    """Not shuffled: 16 images of one identity follow each other."""

    def make_loader(self) -> DataLoader:
        return DataLoader(Crops(self.identities, images=16), 16, shuffle=False)


class PK(TinyTraining):
    """4 identities with 4 images each in every batch."""

    def make_loader(self) -> DataLoader:
        crops = Crops(self.identities)
        rows = [[i * 8 + k for i in range(p, p + 4) for k in range(4)] for p in (0, 4, 8, 12, 16, 20, 2, 6, 10, 14, 18)]
        return DataLoader(crops, batch_sampler=rows)


SICK = [FolderOrder]
HEALTHY = [PK]
