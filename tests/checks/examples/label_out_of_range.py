import torch
from torch import Tensor

from reid_smoke.facts import AnyFact, DatasetFacts
from tests.checks.tiny import Crops, Model, TinyTraining


def scanned(top: int, classes: int) -> DatasetFacts:
    wrong = max(0, top + 1 - classes) * 8
    return DatasetFacts(
        source="tiny", images=192, identities=24, cameras=1, num_classes=classes, label_min=0, label_max=top,
        labels_out_of_range=wrong, example_out_of_range="image 191 -> label 23" if wrong else "",
        images_per_identity=(8, 8, 8),
    )  # fmt: skip


class ScannedBeforeStep1(TinyTraining):
    steps = 0

    def train(self) -> None:
        pass

    def known_beforehand(self) -> list[AnyFact]:
        return [scanned(top=23, classes=20)]


class CrashOnTheWay(TinyTraining):
    """One class too few, as with `num_classes=max_id`."""

    def make_model(self) -> Model:
        return Model(self.identities - 1)


class OneBased(TinyTraining):
    def make_dataset(self) -> Crops:
        crops = Crops(self.identities)
        crops.labels += 1
        return crops


class OneBasedAndSmoothedByHand(OneBased):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        log_probs = self.model(images)[0].log_softmax(1)
        targets = torch.zeros_like(log_probs).scatter_(1, labels.unsqueeze(1), 1)
        return (-(0.9 * targets + 0.1 / targets.shape[1]) * log_probs).mean(0).sum()


class AllInside(TinyTraining):
    def known_beforehand(self) -> list[AnyFact]:
        return [scanned(top=23, classes=24)]


SICK = [ScannedBeforeStep1, CrashOnTheWay, OneBased, OneBasedAndSmoothedByHand]
HEALTHY = [AllInside]
