from torch.utils.data import DataLoader

from reid_smoke.facts import AnyFact, DatasetFacts
from tests.checks.tiny import Crops, Model, TinyTraining


class CountedTheQuerySetIn(TinyTraining):
    def make_model(self) -> Model:
        return Model(2 * self.identities)


class LongBeforeTheEpochIsOver(TinyTraining):
    """Many images of few people, in one epoch of 200 steps; the head was made for four times as many."""

    identities = 48
    steps, window = 110, (60, 100)

    def make_loader(self) -> DataLoader:
        return DataLoader(Crops(self.identities, images=70), self.batch_size, shuffle=True, drop_last=True)

    def make_model(self) -> Model:
        return Model(4 * self.identities)


class SeenByTheScan(TinyTraining):
    """What is known before the first step: no label has to come up for it."""

    def make_model(self) -> Model:
        return Model(2 * self.identities)

    def known_beforehand(self) -> list[AnyFact]:
        return [
            DatasetFacts(
                source="train", images=192, identities=24, cameras=1, num_classes=48, label_min=0, label_max=23,
                labels_out_of_range=0, images_per_identity=(8, 8, 8),
            )
        ]  # fmt: skip


class PersonByPerson(TinyTraining):
    """An epoch in which one identity after the other comes: the last ones do late, and they do."""

    identities = 96
    steps, window = 110, (60, 100)

    def make_loader(self) -> DataLoader:
        crops = Crops(self.identities, images=40)
        pairs = [[40 * p + k for p in range(q, q + 8) for k in (2 * r, 2 * r + 1)] for q in range(89) for r in range(2)]
        return DataLoader(crops, batch_sampler=pairs)


SICK = [CountedTheQuerySetIn, LongBeforeTheEpochIsOver, SeenByTheScan]
HEALTHY = [TinyTraining, PersonByPerson]
