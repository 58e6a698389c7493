import torch

from tests.checks.tiny import TinyTraining


class WarmUpFromZeroPerEpoch(TinyTraining):
    steps = 40
    window = (20, 40)

    def make_scheduler(self):
        self.by_epoch = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda epoch: epoch / 50)

    def after_epoch(self) -> None:
        self.by_epoch.step()


class WarmUpFromZeroPerStep(TinyTraining):
    def make_scheduler(self):
        return torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: min(1.0, step / 10))


SICK = [WarmUpFromZeroPerEpoch]
HEALTHY = [WarmUpFromZeroPerStep]
