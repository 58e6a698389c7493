from reid_smoke.facts import AnyFact, FreezeFacts
from tests.checks.tiny import TinyTraining


class RenamedModule(TinyTraining):
    def known_beforehand(self) -> list[AnyFact]:
        return [FreezeFacts(pattern="^backbone\\.", matched=())]


class Matches(TinyTraining):
    def known_beforehand(self) -> list[AnyFact]:
        return [FreezeFacts(pattern="^base\\.conv1", matched=("base.conv1.weight",))]


SICK = [RenamedModule]
HEALTHY = [Matches]
