from torch.utils.data import DataLoader, Subset

from tests.checks.tiny import TinyTraining


class Remainder(TinyTraining):
    """177 images make eleven batches of 16, and one image is left."""

    drop_last = False

    def make_loader(self) -> DataLoader:
        rows = [i for i in range(192) if i % 8 or i >= 8 * 15]
        return DataLoader(Subset(self.make_dataset(), rows), 16, shuffle=True, drop_last=self.drop_last)


class Dropped(Remainder):
    drop_last = True


SICK = [Remainder]
HEALTHY = [Dropped]
