from tests.checks.tiny import TinyTraining


class BuiltInEachEpoch(TinyTraining):
    lr_head = 1e-3

    def after_epoch(self) -> None:
        self.model = self.make_model()
        self.optimizer = self.make_optimizer()


class SecondStage(TinyTraining):
    """A new model for the second stage, and the optimizer with it."""

    def after_epoch(self) -> None:
        if not hasattr(self, "second"):
            self.second = self.model = self.make_model()
            self.optimizer = self.make_optimizer()


SICK = [BuiltInEachEpoch]
HEALTHY = [SecondStage]
