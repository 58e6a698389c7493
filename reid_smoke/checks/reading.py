"""Small readings of step facts that several checks share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, pairwise, takewhile
from math import isfinite
from statistics import median

from reid_smoke.facts import CrashFacts, GraphFacts, ParameterFacts, StepFacts

# The spread of the logits over the classes. CE can fall by 0.39 only if the right logit stands about 0.4 above the
# others; with a spread of 0.15 that would be nearly three standard deviations for every sample.
NARROW = 0.15

STILL = 1e-6  # of |w|: what rounding does to a weight that is, say, normalised in place
SEEN = 3  # updates, after which a weight that somebody steps has moved; the first may have a warm-up's rate of 0

# Names of operations in the autograd graph that make a feature, or hold such a word.
POOLS = ("Mean", "Pool")
NORMALISES = ("BatchNorm", "LayerNorm", "GroupNorm")


def is_any(path: Iterable[str], kinds: tuple[str, ...]) -> bool:
    """Whether one of the operations on the path is of these kinds."""
    return any(kind in name for name in path for kind in kinds)


def is_narrow(steps: Sequence[StepFacts]) -> bool:
    """Whether the head is still as good as empty: narrow logits, of a feature that has a length to make wider ones."""
    spread, norm = typical(steps, "logit_std"), typical(steps, "feat_norm")
    return spread is not None and spread <= NARROW and not (norm is not None and norm < 1.0)


def figures(steps: Sequence[StepFacts], name: str) -> list[float]:
    """The finite values of one figure, oldest first."""
    return [value for step in steps if (value := getattr(step, name)) is not None and isfinite(value)]


def typical(steps: Sequence[StepFacts], name: str) -> float | None:
    """The median of one figure over steps; None where it was never measured."""
    values = figures(steps, name)
    return median(values) if values else None


def first_run(steps: Sequence[StepFacts], holds: Callable[[StepFacts], bool], length: int) -> StepFacts | None:
    """The step at which `holds` has been true `length` times in a row for the first time; None: never."""
    count = 0
    for step in steps:
        count = count + 1 if holds(step) else 0
        if count == length:
            return step
    return None


def compared(steps: Sequence[StepFacts]) -> list[StepFacts]:
    """Those whose features were compared with each other: the first ones, and every few later."""
    return [step for step in steps if isfinite(step.channels_alive) or isfinite(step.feat_cosine)]


def by_epoch(steps: Sequence[StepFacts]) -> list[list[StepFacts]]:
    """The steps of each epoch, oldest first."""
    return [list(of_epoch) for _, of_epoch in groupby(steps, key=lambda s: s.epoch)]


def updates(steps: Sequence[StepFacts]) -> list[StepFacts]:
    """The batches after which an optimizer stepped: all of them, or with accumulation every n-th."""
    return [step for step in steps if step.applied]


def is_stepped_by_others(
    steps: Sequence[StepFacts], crashes: Sequence[CrashFacts], parameters: Sequence[ParameterFacts]
) -> bool | None:
    """Whether the head goes on moving, whoever holds it: an optimizer may step fp32 masters that are copied back, and
    some step by hand. None: there were too few updates to tell, and more may come.

    A model that is built anew in mid-training was held before: only what came since counts.
    """
    missed = list(takewhile(lambda p: not p.optimizer_holds_head, reversed(parameters)))
    done = updates([s for s in steps if not missed or s.step >= missed[-1].step])
    moved = [step.head_moved for step in done if isfinite(step.head_moved)]
    if any(abs(after - before) > STILL for before, after in pairwise(moved)):
        return True
    return False if len(done) >= SEEN or crashes else None


def asks_which_row(steps: Sequence[StepFacts], graph: GraphFacts) -> bool:
    """The labels number the rows of the batch, as those of a contrastive loss between image and text: each comes up
    once in each batch, and says nothing of who is in the image."""
    whole = [s for s in steps if s.batch]
    return graph.num_classes > 1 and bool(whole) and all(s.distinct_labels == s.batch == s.label_max + 1 for s in whole)


def has_no_head(graphs: Sequence[GraphFacts]) -> bool:
    """No parameter makes the logits: their columns are entries of a memory, of a queue or of the batch, among them such
    as are nobody's label (OIM's queue of the unlabelled, the samples that ALBEF compares with)."""
    return bool(graphs) and graphs[-1].head is None and not graphs[-1].sharded


def has_no_labels(graphs: Sequence[GraphFacts]) -> bool:
    """A model's own shares are all that the loss is given, as in DINO and SwAV: outputs are prototypes, more than are
    used, and what is taken for a label is what a model says."""
    return bool(graphs) and graphs[-1].opinions


def listed(names: Sequence[str], most: int = 3) -> str:
    """`a, b, c and 12 more`."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
