import torch

from tests.checks.tiny import Crops, TinyTraining


class Shuffled(TinyTraining):
    """The list of paths was sorted, the list of labels was not."""

    def make_dataset(self) -> Crops:
        crops = Crops(self.identities, images=24, noise=1.0)
        crops.labels = crops.labels[torch.randperm(len(crops), generator=torch.Generator().manual_seed(1))]
        return crops


class AnyOrderWillDo(TinyTraining):
    """Labels permuted among the identities, all images of one together: another numbering, and no fault."""

    def make_dataset(self) -> Crops:
        crops = Crops(self.identities, images=24)
        crops.labels = torch.randperm(self.identities)[crops.labels]
        return crops


SICK = [Shuffled]
HEALTHY = [AnyOrderWillDo]
