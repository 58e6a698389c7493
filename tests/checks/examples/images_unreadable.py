from reid_smoke.facts import AnyFact, UnreadableFacts
from tests.checks.tiny import TinyTraining


class OneTruncatedFile(TinyTraining):
    def known_beforehand(self) -> list[AnyFact]:
        return [UnreadableFacts(path="0002_c1s1_000451_03.jpg", reason="image file is truncated")]


SICK = [OneTruncatedFile]
HEALTHY = [TinyTraining]
