from reid_smoke.facts import AnyFact
from tests.checks.examples.one_label_for_all import scanned
from tests.checks.tiny import Crops, Model, TinyTraining


class OneClassFound(TinyTraining):
    """Loss 0.0000, accuracy 1.0."""

    steps = 30

    def make_dataset(self) -> Crops:
        crops = Crops(self.identities)
        crops.labels[:] = 0
        return crops

    def make_model(self) -> Model:
        return Model(1)


class FoundBeforeStep1(OneClassFound):
    def known_beforehand(self) -> list[AnyFact]:
        return [scanned(1).model_copy(update={"num_classes": 1})]


class SixClasses(TinyTraining):
    identities = 6

    def make_dataset(self) -> Crops:
        return Crops(self.identities, images=32)


SICK = [OneClassFound, FoundBeforeStep1]
HEALTHY = [SixClasses]
