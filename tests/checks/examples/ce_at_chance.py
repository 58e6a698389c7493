import torch

from tests.checks.tiny import Crops, TinyTraining


class LabelsHaveNothingToDoWithImages(TinyTraining):
    """Nothing is wrong with the training, but each image is new noise whenever it is looked at."""

    def make_dataset(self) -> Crops:
        class Noise(Crops):
            def __getitem__(self, index: int):
                return torch.randn(3, 8, 8), int(self.labels[index])

        return Noise(self.identities)


class NothingYetForTenSteps(TinyTraining):
    """A warm-up per step: CE lies flat at first, and that is healthy."""

    def make_scheduler(self):
        return torch.optim.lr_scheduler.LinearLR(self.optimizer, 0.001, total_iters=30)


SICK = [LabelsHaveNothingToDoWithImages]
HEALTHY = [NothingYetForTenSteps]
