"""The hand-over after a GO: the training goes on, with SDM's weight raised in steps while CE stays.

It goes on where the warm-up ended, in the same epoch, with the same optimizer and schedule, a step at a time (a GPU is
asked kernel by kernel again: the captured step has no SDM in it). The verdict is the warm-up's and stands, so these
steps are not observed as the ones before them were; what is looked at is the loss, see `probes/two_losses.py`.

Of several ranks each compares the pairs of its own batch, and the first one's CE decides for all.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from math import isfinite
from typing import Literal

from torch import Tensor

from reid_smoke.build.training import Training
from reid_smoke.errors import ReidSmokeError
from reid_smoke.facts import AnyFact, HandoverEndFacts, HandoverFacts, HandoverPlanFacts
from reid_smoke.handover import ABOVE_THE_BAR, STRETCH, plan_ends, read_stages
from reid_smoke.probes.crash import read_crash
from reid_smoke.probes.labels import LabelsBeforeLoss
from reid_smoke.probes.memory import read_out_of_memory
from reid_smoke.probes.two_losses import TwoLosses
from reid_smoke.train.learner import Learner
from reid_smoke.train.loop import Batches, train
from reid_smoke.train.ranks import Ranks

Word = Literal["go on", "raise", "hold", "end"]


def hand_over(
    training: Training, batches: Batches, bar: float, tell: Callable[[AnyFact], None], ranks: Ranks
) -> Literal["finished", "interrupted", "crashed"]:
    """Train on with SDM, as `training.config.handover` says. Returns how it ended; why is a fact by then.

    batches: those of the warm-up, to go on in. bar: nats, that CE has to stay under but for 0.1. tell: takes the facts,
        of the first rank; the others tell nobody.
    """
    config = training.config.handover
    left = training.steps_per_epoch - batches.step_in_epoch
    plan = HandoverPlanFacts(
        step=batches.step,
        weights=tuple(config.weights),
        ends=plan_ends(batches.step, left, len(config.weights), config.steps),
        limit=bar + ABOVE_THE_BAR,
        sides="image and caption" if training.config.model.text is not None else "two images of an identity",
    )
    tell(plan)
    begun = time.perf_counter()
    how: Literal["finished", "interrupted", "crashed"] = "finished"
    raising = _Raising(training, batches, plan, tell, ranks)
    hook = training.loss.register_forward_hook(raising.losses)
    try:
        train(training, max_steps=sys.maxsize, stop=raising.stop, learn=Learner(training), batches=batches)
    except KeyboardInterrupt:
        how = "interrupted"
        ranks.hear_no_signal()
    except Exception as error:  # the user's model, data or device
        how = "crashed"
        ranks.hear_no_signal()
        ran_out = read_out_of_memory(error, raising.done, training.config.data.batch_size, str(training.device))
        if ran_out is not None:
            tell(ran_out)
        tell(read_crash(error, raising.done, LabelsBeforeLoss()))
        if isinstance(error, ReidSmokeError):
            print(f"reid-smoke: {error}", file=sys.stderr)
        elif ran_out is None:
            traceback.print_exception(error)
    finally:
        hook.remove()
    ended = "not finite" if raising.is_lost else how
    tell(HandoverEndFacts(step=raising.done, how=ended, seconds=time.perf_counter() - begun))
    return how


class _Raising:
    """Sets SDM's weight, and looks at CE after every tenth step at it.

    `done`: the last step made. `is_lost`: CE is no number any more, and no weight can mend that.
    """

    def __init__(
        self, training: Training, batches: Batches, plan: HandoverPlanFacts, tell: Callable[[AnyFact], None],
        ranks: Ranks,
    ) -> None:  # fmt: skip
        self.done = plan.step
        self.is_lost = False
        self._plan, self._tell, self._ranks = plan, tell, ranks
        self._loss = training.loss

        def pictures() -> Tensor | None:
            return getattr(batches.last, "pictures", None)

        self.losses = TwoLosses(training, pictures, tell)
        self._facts: list[HandoverFacts] = []
        self._number = 0  # which weight
        self._safe = 0.0
        self._begin(plan.weights[0], plan.ends[0])

    def stop(self, step: int) -> bool:
        """Whether to end after this step."""
        self.done = step
        if (step - self._begun) % STRETCH and step != self._end:
            self.losses.wants_pull = step + 1 in self._due
            return False
        facts = self.losses.take(step)
        self._facts.append(facts)
        self._tell(facts)
        self.losses.wants_pull = step + 1 in self._due
        word = self._ranks.share_word(f"hand-over, step {step}", self._decide() if self._ranks.place.is_first else "")
        if word == "raise":
            self._safe = self._plan.weights[self._number]
            self._number += 1
            self._begin(self._plan.weights[self._number], self._plan.ends[self._number])
        elif word == "hold":
            self._begin(self._safe, self._plan.ends[-1])
        return word == "end"

    def _decide(self) -> Word:
        now = read_stages(self._plan, self._facts)[-1]
        if not isfinite(now.ce):
            self.is_lost = True
            return "end"
        if self.done >= self._plan.ends[-1]:
            return "end"
        if now.word == "held":
            return "hold"
        return "raise" if now.word == "safe" else "go on"

    def _begin(self, weight: float, end: int) -> None:
        self._begun, self._end = self.done, end
        # Two more passes backward each: at the first step with a weight, in the middle and at the last, and no oftener.
        self._due = {self.done + 1, (self.done + 1 + end) // 2, end}
        self._loss.sdm_weight = weight
        self.losses.wants_pull = True
