"""What a loop does, counted: backwards, updates, zero_grads, and losses that came to nothing."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import torch
from torch import Tensor

from reid_smoke.facts import LoopFacts
from reid_smoke.probes.continuity import Continuity
from reid_smoke.probes.nodes import Node, loss_in_words
from reid_smoke.probes.rivals import Rivals

MOST_UNCLASSIFIED = 16  # kinds of losses without a classification that are kept
TOLD_OF_THEM = 5


# backwards: of the judged loss; leaf_backwards: of what has no graph behind it; skipped: by GradScaler.
Counted = Literal["backwards", "other_backwards", "leaf_backwards", "optimizer_steps", "skipped", "zero_grads"]


class Tally:
    """counts: since the training began.
    unclassified: losses without a classification, in words, and how often each came, while none had any.
    loss_without_graph: what is added to a loss and has no gradient; None where nothing is.
    """

    def __init__(self) -> None:
        self.counts = Counter[Counted]()
        self.unclassified = Counter[str]()
        self.loss_without_graph: float | None = None
        self._without_gradient = self._with_gradient = 0  # cross-entropies, by what their logits ask for
        self._others_told = 0

    def cross_entropy(self, logits: Tensor) -> None:
        """One of these logits is about to be computed."""
        if logits.dim() == 2 and torch.is_grad_enabled():
            self._without_gradient += not logits.requires_grad
            self._with_gradient += logits.requires_grad

    def no_classification(self, root: Node) -> None:
        """A loss goes backward, whose node this is, and holds none."""
        if len(self.unclassified) < MOST_UNCLASSIFIED:
            self.unclassified[loss_in_words(root)] += 1

    def facts(self, step: int, heads: Continuity, rivals: Rivals, *, others_under_way: int = 0) -> LoopFacts:
        """others_under_way: backwards of other losses that have begun and are not counted yet."""
        counts = self.counts
        # A backward that was told of stays told of, also where that stops the training in its midst.
        self._others_told = max(self._others_told, counts["other_backwards"] + others_under_way)
        return LoopFacts(
            step=step,
            backwards=counts["backwards"],
            other_backwards=self._others_told,
            optimizer_steps=counts["optimizer_steps"],
            skipped_by_scaler=counts["skipped"],
            zero_grads=counts["zero_grads"],
            leaf_backwards=counts["leaf_backwards"],
            losses_without_gradient=self._without_gradient,
            loss_without_graph=self.loss_without_graph if not step else None,
            losses_left_out=0 if step else self._with_gradient,
            unclassified=() if step else tuple(self.unclassified)[:TOLD_OF_THEM],
            heads=heads.heads,
            heads_carried_on=heads.heads if rivals.took_turns else heads.carried_on,
            head_optimizers=heads.optimizers,
            rivals=rivals.names,
        )
