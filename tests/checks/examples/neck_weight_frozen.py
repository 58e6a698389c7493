from tests.checks.tiny import TinyTraining


class WeightAndBias(TinyTraining):
    def after_building(self) -> None:
        self.model.bottleneck.requires_grad_(False)


class FrozenWithTheBackbone(TinyTraining):
    def after_building(self) -> None:
        self.model.base.requires_grad_(False)
        self.model.bottleneck.requires_grad_(False)


SICK = [WeightAndBias]
HEALTHY = [FrozenWithTheBackbone]
