import time

from torch import Tensor

from tests.checks.tiny import Crops, TinyTraining


class SlowDisk(Crops):
    """As slow as it is once what was read ahead is used up, which is before anything is said of it."""

    read = 0

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self.read += 1
        if self.read > 39 * 16:
            time.sleep(0.004)
        return super().__getitem__(index)


class OneByOne(TinyTraining):
    """Images from a slow disk, and no loader process."""

    steps = 82  # the first 40 say nothing, and nor do fewer than 40
    window = (60, 82)

    def make_dataset(self) -> Crops:
        return SlowDisk(self.identities)


class QuickSteps(TinyTraining):
    """Most of a millisecond's step goes by waiting, which is nothing to mend."""

    steps = 100
    window = (60, 100)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        time.sleep(0.001)
        super().train_step(images, labels)


SICK = [OneByOne]
HEALTHY = [QuickSteps]
