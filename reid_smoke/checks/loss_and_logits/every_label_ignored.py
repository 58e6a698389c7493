from math import isnan

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run
from reid_smoke.facts import StepFacts

BATCHES = 3  # in a row: one batch of junk alone is odd, and no more than that


@check(
    "RS211", slug="every-label-ignored", severity="fatal", needs=[StepFacts],
    explains=["RS102", "RS106", "RS201", "RS202", "RS203", "RS311", "RS312", "RS401"], lies_in="data",
)  # fmt: skip
def every_label_ignored(steps: list[StepFacts]) -> Finding | None:
    """The loss ignores every image.

    What it means:
        All labels of the batch are the loss's `ignore_index`, so that none is counted.

    Why it stops learning:
        A mean over no images is NaN, a sum over none is 0. Either way nothing is learnt from anybody.

    Mend:
        Look at the labels that reach the loss, and at its `ignore_index`: -100 unless it was set. Junk of pid -1 is
        dropped when the data set is read, not ignored in the loss.

            criterion = nn.CrossEntropyLoss()   # not: ignore_index=0 for data whose labels are all 0

    Seen in:
        person_search #31 (pid -1 in the loss); unlabelled boxes of detection data sets.
    """
    # Soft targets that are the same for everybody hold no label either, and the loss counts them all the same.
    step = first_run(steps, lambda s: s.batch == 0 and isnan(s.target_top), BATCHES)
    if step is None:
        return None
    return Finding(f"0 images counted in the loss of {BATCHES} batches in a row; it reads {step.loss:.3g}", step.step)
