from tests.checks.tiny import TinyTraining


class LeftInEvalByValidation(TinyTraining):
    def train_step(self, images, labels) -> None:
        self.model.eval()
        super().train_step(images, labels)


class ValidatesBetween(TinyTraining):
    def after_epoch(self) -> None:
        self.model.eval()
        self.model.train()


SICK = [LeftInEvalByValidation]
HEALTHY = [ValidatesBetween]
