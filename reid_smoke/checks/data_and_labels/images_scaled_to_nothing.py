from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import ImageFacts
from reid_smoke.rule import Curve

# Scaled to 0..1 a dull image still has 0.03, normalised 0.1; divided by 255 twice it has 0.001, and 0.004 normalised.
LEAST = 0.01


@check(
    "RS127", slug="images-scaled-to-nothing", severity="fail", needs=[ImageFacts],
    uses=[Curve],
    explains=["RS118", "RS202", "RS203", "RS204", "RS401", "RS403", "RS408", "RS503", "RS512"],
)  # fmt: skip
def images_scaled_to_nothing(batches: list[ImageFacts], curve: Curve) -> Finding | None:
    """The images are scaled down until hardly anything is left of them.

    What it means:
        The pixels of an image differ by next to nothing: they were divided by 255 twice, or images of 0 to 1 were
        normalised with a mean and a standard deviation that belong to 0 to 255.

    Why it stops learning:
        All images are as good as the same, of one grey: what they show drowns in the first layer's bias and in
        rounding, and erased patches are the only thing that stands out. Where batch norm follows at once a training may
        bear it; then this is a warning.

    Mend:
        `ToTensor` gives 0 to 1. What follows it has to be written for that:

            T.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])     # not [123.7, 116.3, 103.5]

        Look at one batch as the model gets it: its standard deviation should be about 1.

    Seen in:
        fast-reid's and mmcv's pixel means of 0 to 255 behind a `ToTensor` that scales.
    """
    dull = [b for b in batches if b.contrast < LEAST and b.constant < 1]
    if len(dull) <= len(batches) / 2:  # of a small batch three quarters may have been given erased patches by chance
        return None
    last = dull[-1]
    return Finding(
        f"within an image a channel's pixels have a standard deviation of {last.contrast:.2g} (lower quartile of the "
        f"batch), around a mean of {last.mean:.3g}; normalised it is about 1, scaled to 0..1 about 0.25",
        step=dull[0].step,
        severity=grave_if_ce_fails(curve),
    )
