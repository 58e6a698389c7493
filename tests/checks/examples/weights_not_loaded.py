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


SICK = [AnotherPrefix, HalfOfIt]
HEALTHY = [AllButTheHead]
