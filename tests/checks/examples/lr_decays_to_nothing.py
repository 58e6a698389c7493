import torch

from tests.checks.tiny import Crops, TinyTraining


class EpochsSteppedPerBatch(TinyTraining):
    """Milestones meant for epochs, reached in as many batches."""

    def make_scheduler(self):
        return torch.optim.lr_scheduler.MultiStepLR(self.optimizer, [2, 4, 6])

    def make_dataset(self) -> Crops:
        return Crops(self.identities, noise=4.0)


class OverTheWholeTraining(TinyTraining):
    """One cosine over all steps that there are: spent at the end, and in time."""

    def make_scheduler(self):
        return torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, self.steps)


SICK = [EpochsSteppedPerBatch]
HEALTHY = [OverTheWholeTraining]
