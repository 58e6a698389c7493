from itertools import pairwise
from math import isfinite

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.data_and_labels._coverage import overfits
from reid_smoke.checks.reading import updates
from reid_smoke.facts import GraphFacts, RunFacts, StepFacts

# Batches in a row with the very same labels. Two random batches of 4 in 24 identities agree once in ten thousand times;
# twenty in a row never do.
BATCHES = 20
CHANGES = 2  # among them, of a batch that is kept for an epoch


@check(
    "RS110", slug="batches-repeat", severity="fail", needs=[StepFacts, GraphFacts], uses=[RunFacts],
    explains=["RS104", "RS105", "RS120", "RS202", "RS203", "RS204"],
)  # fmt: skip
def batches_repeat(steps: list[StepFacts], graphs: list[GraphFacts], runs: list[RunFacts]) -> Finding | None:
    """Every batch holds the same identities.

    What it means:
        Batch after batch carries the very same labels, although there are more: the sampler starts from the same seed
        at each draw, an iterator is made anew for every step, or the loop trains on one batch that it kept, for good or
        for an epoch. Or the people do change, and their labels are numbered anew within each batch: 0 is somebody else
        each time.

    Why it stops learning:
        CE falls on these few images, for they are learnt by heart. Nothing else is ever looked at, and a loss near 0
        says nothing.

    Mend:
        Go through the loader, instead of asking a new iterator for its first batch each time:

            for images, labels in loader:   # not: images, labels = next(iter(loader))

        Number the identities once, over the whole training set, and not by `labels.unique(return_inverse=True)` of a
        batch. Seed a sampler once, not in its `__iter__`, or add the epoch to the seed.

    Seen in:
        torchreid #45, #48 and MMT #38 (samplers); `next(iter(loader))` within the loop with a fixed seed; a loss that
        is computed on the batch before.
    """
    recent = updates(steps)[-BATCHES:]  # a closure goes through one batch several times before its update
    if overfits(runs) or len(recent) < BATCHES or not isfinite(recent[0].label_checksum):
        return None
    changes = sum((a.label_checksum, a.batch) != (b.label_checksum, b.batch) for a, b in pairwise(recent))
    if changes > CHANGES:
        return None
    last = recent[-1]
    if last.distinct_labels >= graphs[-1].num_classes or last.batch < 2:
        return None
    # Whoever numbers the identities of a batch anew gives them just these, and so does who always takes the first ones.
    anew = last.label_min == 0 and last.label_max == last.distinct_labels - 1
    numbered = f" (0 to {last.label_max}: as if each batch were numbered anew)" if anew else ""
    but = f", but for {changes} times that they changed" if changes else ""
    return Finding(
        f"the last {BATCHES} batches carry the same {last.batch} labels, {last.distinct_labels} of "
        f"{graphs[-1].num_classes} identities{numbered}{but}",
        step=last.step,
    )
