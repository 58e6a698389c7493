from collections.abc import Sequence
from statistics import median

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import ImageFacts

FIRST = 5  # steps, whose images no epoch has changed yet
FACTOR = 10.0  # of the spread; erasing, jitter, blur and resizing stay within two
SHIFT = 5.0  # of the mean, in spreads
ON_THE_WAY = 0.2  # of that, at the look before: one odd batch is no drift


@check(
    "RS121", slug="images-change", severity="fail", needs=[ImageFacts],
    explains=[
        "RS111", "RS112", "RS113", "RS118", "RS201", "RS202", "RS203", "RS204", "RS312", "RS401", "RS403", "RS408",
        "RS503",
    ],
)  # fmt: skip
def images_change(batches: list[ImageFacts]) -> Finding | None:
    """The images change from epoch to epoch.

    What it means:
        The spread of the pixels has become a tenth of what it was in the first steps, or ten times that, or their mean
        has wandered off by several spreads; and it was on its way there at the look before.

    Why it stops learning:
        A data set that keeps its images in memory and changes them in place, changes what it keeps: each epoch gets the
        images of the one before, normalised once more. What was learnt holds for other images, and in the end nothing
        is left of them.

    Mend:
        Change a copy: no `sub_`, `div_`, `*=` or `normalize(..., inplace=True)` on what is kept.

            image = (self.images[index] - mean) / std   # not: self.images[index].sub_(mean).div_(std)

    Seen in:
        Data sets that are cached in memory to speed up a training, and normalise in place as before.
    """
    first = [b for b in batches if b.step <= FIRST and b.std > 0]
    later = [b for b in batches if b.step > FIRST]
    if not first or len(later) < 2:
        return None
    std, mean = median(b.std for b in first), median(b.mean for b in first)
    factors = [b.std / std for b in later[-2:]]
    shifts = [(b.mean - mean) / std for b in later[-2:]]
    wider, narrower = [f - 1 for f in factors], [1 - f for f in factors]
    spreads = _drifts(wider, FACTOR - 1) or _drifts(narrower, 1 - 1 / FACTOR)
    if not (spreads or _drifts(shifts, SHIFT) or _drifts([-s for s in shifts], SHIFT)):
        return None
    looks = ", ".join(f"{b.mean:.2g} ± {b.std:.2g} at step {b.step}" for b in later[-2:])
    return Finding(
        f"the pixels' mean and spread were {mean:.2g} ± {std:.2g} in the first {first[-1].step} steps, and {looks}",
        step=later[-1].step,
    )


def _drifts(two: Sequence[float], far: float) -> bool:
    return two[1] >= far and two[0] >= ON_THE_WAY * far
