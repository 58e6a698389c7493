from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, log
from statistics import fmean, median

from reid_smoke.checks._colours import error_of_pairs
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import by_epoch, figures
from reid_smoke.facts import GraphFacts, LikenessFacts, LoopFacts, StepFacts
from reid_smoke.rule import BELOW_CHANCE

BATCHES = 5  # of an epoch; in fewer nothing much is learnt
LAST = 3  # batches that tell what an epoch has come to
JUMPS = 3  # in a row
JUMP = 0.7  # nats, mean of them
OVER_NOISE = 3  # times the usual difference between two batches
NEAR_CHANCE = 0.25  # nats: the spread of a single batch
ERRORS = 6.0
TELLS = 0.1  # of the colours over chance
STANDS = 2  # epochs that begin at chance
UNTOUCHED = 0.05  # of |w|; a head that is drawn or loaded anew changes by far more


@check(
    "RS120", slug="labels-change-each-epoch", severity="fail", needs=[StepFacts, GraphFacts, LoopFacts],
    uses=[LikenessFacts],
    explains=["RS115", "RS202", "RS203", "RS204", "RS210", "RS401", "RS403", "RS408"],
)  # fmt: skip
def labels_change_each_epoch(
    steps: list[StepFacts], graphs: list[GraphFacts], counts: list[LoopFacts], likeness: list[LikenessFacts]
) -> Finding | None:
    """The identities are numbered anew in each epoch.

    What it means:
        CE falls within each epoch, and the first batch of the next stands at chance or above, though the head is as the
        last update left it and no update has come in between: what was right a batch ago is wrong now. Where CE is too
        noisy to show it, colours do: images under one label are alike within an epoch, and across two they are not.

    Why it stops learning:
        What the head has learnt of label 7 was somebody else. It unlearns that first, and then has one epoch to learn
        the new numbers; the features are pulled back and forth with it.

    Mend:
        Number the identities once, from a sorted list, where the data set is built, and let nothing change it later: a
        set of strings has another order in each process, and a list that is shuffled in place keeps its new order.

            label_of = {pid: label for label, pid in enumerate(sorted(set(pids)))}

        Where the labels are clusters that are found anew each epoch, the head has to be made anew with them.

    Seen in:
        A data set that is built anew within the epoch loop; pseudo labels without a new head (unsupervised ReID).
    """
    if counts[-1].heads > 1:  # a new head begins at chance
        return None
    chance = log(graphs[-1].num_classes)
    noise = median([abs(b - a) for a, b in pairwise(figures(steps, "ce"))] or [0.0])
    row: list[Boundary] = []
    for before, after in pairwise(by_epoch(steps)):
        boundary = _boundary(before, after)
        row = [*row[1 - JUMPS :], boundary] if boundary and boundary.jumps(chance) else []
        if len(row) < JUMPS or fmean(b.rise for b in row) < max(JUMP, OVER_NOISE * noise):
            continue
        if min(b.fell for b in row) > chance - BELOW_CHANCE:
            continue  # nothing was learnt that could have been lost
        fell = ", ".join(f"{b.fell:.2f}" for b in row)
        stood = ", ".join(f"{b.stood:.2f}" for b in row)
        return Finding(
            f"CE came to {fell} in the last batches of epochs {row[0].epoch} to {row[-1].epoch}, and stood at {stood} "
            f"in the first batch of the epoch after; chance is {chance:.2f}, and the head had not changed in between",
            step=after[0].step,
        )
    return _by_colours(likeness[-1], steps, chance) if likeness else None


def _by_colours(last: LikenessFacts, steps: list[StepFacts], chance: float) -> Finding | None:
    """Labels of the second epoch fit its own images, and not those of the first."""
    told, kept = last.auc - 0.5, last.later_auc - 0.5
    error = error_of_pairs(max(1, min(last.pairs, last.later_pairs)))
    if not told > max(TELLS, ERRORS * error) or not last.later_own_auc - 0.5 > told / 2 or not kept < told / 4:
        return None
    firsts = [epoch[0] for epoch in by_epoch(steps)[1:] if epoch[0].step_in_epoch == 1]
    if len(firsts) < STANDS or not all(s.ce >= chance - NEAR_CHANCE for s in firsts):
        return None
    if any(s.head_overwritten > UNTOUCHED for s in firsts):  # a head that is drawn or filled anew
        return None
    stood = ", ".join(f"{s.ce:.2f}" for s in firsts[:JUMPS])
    return Finding(
        f"two images under one label are more alike in colour than two under different labels in {last.auc:.0%} of the "
        f"cases within the first epoch, in {last.later_own_auc:.0%} within the second, and in {last.later_auc:.0%} "
        f"where one is of the first and one of the second (± {error:.0%}; 50% is chance); CE stood at {stood} in the "
        f"first batches of the epochs from the second on, and chance is {chance:.2f}",
        step=firsts[-1].step,
    )


@dataclass(frozen=True)
class Boundary:
    """Between two epochs. The first batch of the later one is computed before any of its updates could spoil it."""

    epoch: int
    fell: float  # CE of the last batches before, nats
    stood: float  # CE of the first batch after

    @property
    def rise(self) -> float:
        return self.stood - self.fell

    def jumps(self, chance: float) -> bool:
        return self.rise >= JUMP / 2 and self.stood >= chance - NEAR_CHANCE


def _boundary(before: list[StepFacts], after: list[StepFacts]) -> Boundary | None:
    """None where the two cannot be compared."""
    first, last = after[0], before[-LAST:]
    if len(before) < BATCHES or first.epoch != last[0].epoch + 1 or first.step_in_epoch != 1:
        return None
    if not all(isfinite(s.ce) for s in (*last, first)) or first.head_overwritten > UNTOUCHED:
        return None
    if not _same_people(last, first):
        return None
    return Boundary(last[0].epoch, fmean(s.ce for s in last), first.ce)


def _same_people(last: list[StepFacts], first: StepFacts) -> bool:
    """The labels of a batch lie among those of the ones before it. Where people come one after the other, or each epoch
    has its own, somebody who was not seen for long, or never, has a high CE without any fault."""
    low, high = min(s.label_min for s in last), max(s.label_max for s in last)
    shared = min(high, first.label_max) - max(low, first.label_min)
    return shared > 0 and shared >= (first.label_max - first.label_min) / 2
