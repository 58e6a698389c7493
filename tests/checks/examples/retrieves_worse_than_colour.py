from reid_smoke.facts import AnyFact, RetrievalFacts, RetrievedFacts
from tests.checks.tiny import TinyTraining


def measured(after: float | None) -> list[AnyFact]:
    return [
        RetrievalFacts(
            on="query in gallery",
            identities=10,
            queries=20,
            gallery=141,
            chance=RetrievedFacts(mean_ap=0.11, rank1=0.08),
            colour=RetrievedFacts(mean_ap=0.51, rank1=0.82),
            before=RetrievedFacts(mean_ap=0.2, rank1=0.3),
            after=None if after is None else RetrievedFacts(mean_ap=after, rank1=after),
        )
    ]


class WorseThanColour(TinyTraining):
    def known_beforehand(self) -> list[AnyFact]:
        return measured(0.4)


class BetterThanColour(TinyTraining):
    def known_beforehand(self) -> list[AnyFact]:
        return measured(0.6)


SICK = [WorseThanColour]
HEALTHY = [BetterThanColour]
