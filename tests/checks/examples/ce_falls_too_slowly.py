from tests.checks.tiny import Crops, TinyTraining


class HardlyTellable(TinyTraining):
    """The people drown in noise: something is learnt, and slowly."""

    steps, window = 60, (40, 60)
    lr_head = 2e-3
    lr_backbone = 1e-6

    def make_dataset(self) -> Crops:
        return Crops(self.identities, images=400, noise=9.0)


class JudgedEarly(TinyTraining):
    """The logits are still close together, and go apart from step to step: that needs time, and no other lr."""

    steps, window = 100, (60, 100)
    lr_head = lr_backbone = 1e-4


class FewerLooks(TinyTraining):
    steps = 140
    window = (100, 140)
    lr_head = 3e-3


SICK = [HardlyTellable, JudgedEarly]
HEALTHY = [FewerLooks]
