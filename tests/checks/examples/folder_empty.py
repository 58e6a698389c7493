import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset

from reid_smoke.facts import AnyFact, DatasetFacts
from tests.checks.tiny import Crops, TinyTraining


class SecondSetWasNotFound(TinyTraining):
    def make_dataset(self) -> Dataset[tuple[Tensor, int]]:
        nothing = Crops(self.identities)
        nothing.labels, nothing.images = torch.empty(0, dtype=torch.int64), torch.empty(0, 3, 8, 8)
        return ConcatDataset([Crops(self.identities), nothing])


class ScannedFolders(TinyTraining):
    """What a scan of the folders says before the first step."""

    empty_folders: tuple[str, ...] = ("0007",)

    def known_beforehand(self) -> list[AnyFact]:
        return [
            DatasetFacts(
                source="train", images=192, identities=24, cameras=1, num_classes=24, label_min=0, label_max=23,
                labels_out_of_range=0, images_per_identity=(8, 8, 8), empty_folders=self.empty_folders,
            )
        ]  # fmt: skip


class AllFoldersHoldSome(ScannedFolders):
    empty_folders = ()


class TwoSets(TinyTraining):
    def make_dataset(self) -> Dataset[tuple[Tensor, int]]:
        return ConcatDataset([Crops(self.identities), Crops(self.identities)])


SICK = [SecondSetWasNotFound, ScannedFolders]
HEALTHY = [TwoSets, AllFoldersHoldSome]
