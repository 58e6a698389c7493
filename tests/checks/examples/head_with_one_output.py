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


class SixClasses(TinyTraining):
    identities = 6

    def make_dataset(self) -> Crops:
        return Crops(self.identities, images=32)


SICK = [OneClassFound]
HEALTHY = [SixClasses]
