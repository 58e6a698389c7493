from itertools import takewhile

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import DatasetFacts, StepFacts

# Batches of one and the same label. A set read in folder order gives an identity's few dozen images in a row; twenty
# batches of one identity would be hundreds.
BATCHES = 20
MIXED = 3  # labels in a batch


@check(
    "RS106", slug="one-label-for-all", severity="fatal", uses=[DatasetFacts, StepFacts],
    explains=["RS102", "RS104", "RS105", "RS110", "RS201", "RS202", "RS203", "RS204", "RS401", "RS403", "RS503"],
)  # fmt: skip
def one_label_for_all(datasets: list[DatasetFacts], steps: list[StepFacts]) -> Finding | None:
    """All images carry the same label.

    What it means:
        The label was read from the wrong part of the file name, or from the wrong folder level, and is the same
        everywhere. Or there were several at first, and only one is left: pseudo labels of a teacher or of clusters that
        collapsed.

    Why it stops learning:
        There is nothing to tell apart. Behind a neck whose bias is frozen at 0 the mean logit over the batch is 0, so
        CE stays at chance and looks like a dead head; without one, CE falls to 0 at once.

    Mend:
        Print ten file names beside their labels. In Market's names the pid is the number before the first `_`:

            pid, camera = map(int, re.search(r"([-\\d]+)_c(\\d)", path.name).groups())

        A teacher has to learn from labels first; count what it says, and stop where one class takes over:

            labels = teacher(images).argmax(1)
            assert len(labels.unique()) > 1, "the teacher has collapsed"

    Seen in:
        ReID-PCB_RPP #7 (loss 0.0000, accuracy 1.0: the folder's name was taken for the identity).
    """
    for facts in datasets:
        if facts.identities == 1 and facts.images > 1:
            return Finding(f"all {facts.images} images of {facts.source} carry label {facts.label_min}")
    recent = list(takewhile(lambda s: s.label_min == s.label_max == steps[-1].label_max, reversed(steps)))
    if len(recent) < BATCHES or all(s.batch < 2 for s in recent):
        return None
    images, label = sum(s.batch for s in recent), steps[-1].label_max
    if len(recent) == len(steps):
        return Finding(f"all {images} images so far carry label {label}", step=steps[-1].step)
    # A set that is read folder by folder has two of them in a batch, where one ends and the next begins.
    most = max(s.distinct_labels for s in steps)
    if most < MIXED:
        return None
    return Finding(
        f"all {images} images since step {recent[-1].step} carry label {label}, where batches had up to {most} "
        "different labels before: they collapsed",
        step=steps[-1].step,
    )
