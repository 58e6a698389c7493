import torch

from reid_smoke.facts import AnyFact, WeightsFacts
from tests.checks.tiny import TinyTraining


class AnotherPrefix(TinyTraining):
    def known_beforehand(self) -> list[AnyFact]:
        return [WeightsFacts(path="resnet50.pth", matched=0, missing=318, unexpected=320, wrong_shape=0)]


class HalfOfIt(TinyTraining):
    def known_beforehand(self) -> list[AnyFact]:
        return [WeightsFacts(path="resnet50.pth", matched=160, missing=158, unexpected=0, wrong_shape=0)]


class AllButTheHead(TinyTraining):
    def known_beforehand(self) -> list[AnyFact]:
        return [WeightsFacts(path="resnet50.pth", matched=318, missing=6, unexpected=2, wrong_shape=0)]


class ScriptsOwnPrefix(TinyTraining):
    """`module.` before all keys, strict=False: nothing arrives, and nobody says so; CE bears it here: a warning."""

    prefix = "module."

    def train(self) -> None:
        trained = {self.prefix + name: torch.clone(value) for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(trained, strict=False)
        super().train()


class ScriptsOwnWithAnotherHead(ScriptsOwnPrefix):
    """An old head among the keys is left out, and the rest arrives."""

    prefix = ""

    def train(self) -> None:
        trained = dict(self.model.state_dict(), **{"fc.weight": torch.zeros(1000, 512)})
        self.model.load_state_dict(trained, strict=False)
        TinyTraining.train(self)


SICK = [AnotherPrefix, HalfOfIt, ScriptsOwnPrefix]
HEALTHY = [AllButTheHead, ScriptsOwnWithAnotherHead]
