from tests.checks.tiny import Model, TinyTraining


class CountedTheQuerySetIn(TinyTraining):
    def make_model(self) -> Model:
        return Model(2 * self.identities)


SICK = [CountedTheQuerySetIn]
HEALTHY = [TinyTraining]
