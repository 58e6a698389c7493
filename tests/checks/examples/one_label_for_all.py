import torch
from torch import Tensor

from reid_smoke.facts import AnyFact, DatasetFacts
from tests.checks.tiny import Crops, TinyTraining


def scanned(identities: int) -> DatasetFacts:
    return DatasetFacts(
        source="tiny", images=192, identities=identities, cameras=1, num_classes=24, label_min=0,
        label_max=identities - 1, labels_out_of_range=0, images_per_identity=(8, 8, 8),
    )  # fmt: skip


class TheFoldersNameTakenForThePid(TinyTraining):
    steps = 30
    window = (20, 30)

    def make_dataset(self) -> Crops:
        crops = Crops(self.identities)
        crops.labels[:] = 3
        return crops


class FoundBeforeStep1(TinyTraining):
    def train(self) -> None:
        pass

    def known_beforehand(self) -> list[AnyFact]:
        return [scanned(1)]


class Collapsing(TinyTraining):
    """Pseudo labels of which one wins over the others, step by step."""

    until = 30
    steps = 80
    window = (50, 80)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        given_up = torch.rand(len(labels)) < self.step_number / self.until
        return super().loss(images, torch.where(given_up, 5, labels))


class AsManyAsPlanned(TinyTraining):
    def known_beforehand(self) -> list[AnyFact]:
        return [scanned(24)]


SICK = [TheFoldersNameTakenForThePid, FoundBeforeStep1, Collapsing]
HEALTHY = [AsManyAsPlanned]
