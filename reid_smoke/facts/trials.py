"""Short re-runs with one thing changed."""

from __future__ import annotations

from typing import Literal

from reid_smoke.facts.base import Fact


class TrialFacts(Fact):
    """A short re-run from the same start on the same batches with one thing changed, or with nothing changed."""

    kind: Literal["trial"] = "trial"
    name: str  # what was changed, for people
    settings: tuple[str, ...] = ()  # the change as it would be written down, `key=value`; empty: nothing, or no config
    swaps: tuple[Literal["model", "data", "optimizer"], ...] = ()  # whole parts that the reference's took the place of
    together: int = 1  # how many changes were made at once; 0: none, the training as it is
    changes: tuple[str, ...] = ()  # slugs of the trials that were put together
    for_cause: bool = False  # it would mend the first cause, which speaks for more than what CE does
    batches: Literal["few", "stream"]  # the same few over and over, or those of the training one after another
    distinct_batches: int
    num_classes: int
    # Nats: CE of somebody who knows nothing but how often each label comes in the few batches. None: not known.
    guessing_ce: float | None = None
    ce: tuple[float, ...] = ()  # plain, nats, of each step
    error: str = ""  # what it crashed with
    seconds: float = 0.0
    # Of images that it was not trained on, whose identity it was: the mean share of the other identities' logits that
    # the right one's is above; 0.5 is guessing. None: not measured.
    unseen_rank: float | None = None
    unseen: int = 0  # over how many images


class TriageFacts(Fact):
    """How the trials ended. Written after the last of them."""

    kind: Literal["triage"] = "triage"
    budget_s: float
    seconds: float
    ended: Literal["not needed", "proven", "exhausted", "out of budget", "interrupted", "impossible"]
    untried: tuple[str, ...] = ()  # names of the trials that the budget left out
    replayed: bool = False  # on what was kept of a watched training, in the reference loop
    ce_word: str = ""  # what CE did in the training itself, as in rule.Curve; empty: not known
    first_cause: str = ""  # code of the finding that explains the others
    why_not: str = ""  # why nothing could be tried
