"""Classifications that go backward by themselves beside the judged one: of clothes, of domains, of a second model.

Of several heads in one loss one is judged. Of several losses, each with a backward of its own, it is the same: what is
judged stays judged while it keeps coming, and the others are other backwards.
"""

from __future__ import annotations

import re
import weakref
from typing import NamedTuple

from torch import Tensor

from reid_smoke.probes.graph import Classification
from reid_smoke.probes.judged import product_of
from reid_smoke.probes.nodes import Node, follow
from reid_smoke.probes.structure import FAR_MORE, Structure

PATIENCE = 2  # classifications of others in a row, after which the training has gone on to another head
LONG_PATIENCE = (
    100  # where others take many turns in a row: a critic's, or those of a head that was given up and is back
)
MOST = 4  # rivals that are known again without a look


class Loss(NamedTuple):
    """What is remembered of a loss: nothing that would keep its model or its optimizer alive."""

    classification: Classification
    head: weakref.ref[Tensor] | None
    name: str | None
    parameters: int  # that it reaches

    def is_behind(self, root: Node) -> bool:
        """By the way on which it was found, and by its head."""
        consumer = follow(root, self.classification.path)
        if consumer is None or consumer.name() != self.classification.consumer or self.head is None:
            return False
        product = product_of(consumer, self.classification)
        return product is not None and product.weight is not None and product.weight is self.head()

    def has_head_of(self, other: Loss) -> bool:
        return (self.head and self.head()) is (other.head and other.head())


def loss_of(structure: Structure) -> Loss:
    head = weakref.ref(structure.head) if structure.head is not None else None
    return Loss(structure.classification, head, structure.graph_facts.head, len(structure.leaves))


class Rivals:
    """Told of every classification of a training that goes backward, and says which are beside the judged one.

    wanted: what the name of the judged head matches, where there is one of that name.
    """

    def __init__(self, wanted: re.Pattern[str] | None = None) -> None:
        self._wanted = wanted
        self._known: list[Loss] = []
        self._given_up: list[Loss] = []
        self._away = 0  # classifications of others since the judged one came last
        self.took_turns = False  # a head that was given up came back, as those of several clients or tasks do

    @property
    def names(self) -> tuple[str, ...]:
        """Of the heads that were seen beside the judged one, the latest in front."""
        return tuple(dict.fromkeys(other.name for other in self._known if other.name is not None))

    def judged_came(self) -> None:
        self._away = 0

    def is_known(self, root: Node, judged: Loss) -> bool:
        """Whether this backward is one of those beside the judged one, without a look at all of it."""
        other = next((known for known in self._known if known.is_behind(root)), None)
        if other is None or self._away >= self._patience(judged, other):
            return False
        self._away += 1
        return True

    def is_of_a_critic(self, judged: Loss, other: Loss) -> bool:
        """Whether the wrong one was judged, which came first."""
        if other.has_head_of(judged) or not self._prefers(other, judged):
            return False
        self._remember(judged)
        return True

    def is_beside(self, judged: Loss, other: Loss) -> bool:
        """Whether `judged` stays what is judged where `other`, found by a look, goes backward."""
        if other.has_head_of(judged) or self._prefers(other, judged):
            return False
        self.took_turns = self.took_turns or any(other.has_head_of(before) for before in self._given_up)
        if self._away >= self._patience(judged, other):
            self._given_up = [*self._given_up, judged][-MOST:]
            return False
        self._away += 1
        self._remember(other)
        return True

    def _patience(self, judged: Loss, other: Loss) -> int:
        return LONG_PATIENCE if self.took_turns or self._prefers(judged, other) else PATIENCE

    def _remember(self, other: Loss) -> None:
        self._known = [other, *(known for known in self._known if not known.has_head_of(other))][:MOST]

    def _prefers(self, one: Loss, other: Loss) -> bool:
        """One is to be judged and not the other, whichever came first: its name is wanted, or it trains far more."""
        named, other_named = self._is_wanted(one), self._is_wanted(other)
        return named if named != other_named else one.parameters >= FAR_MORE * other.parameters

    def _is_wanted(self, one: Loss) -> bool:
        return self._wanted is not None and one.name is not None and self._wanted.search(one.name) is not None
