from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import ImageFacts
from reid_smoke.rule import Curve

# Scaled to 0..1 nothing is over 1; normalised with ImageNet's numbers nothing over 2.7; with a standard deviation of a
# twentieth, nothing over 20. Images in BGR with only their mean taken away go to 150, but go below 0 as well.
LARGEST = 30.0
BELOW = 0.05  # of the largest: 0 to 255 less a mean of 0.5, which belongs to images of 0 to 1, goes no lower
# Of 0 to 255 a dull image still has 8, and a normalised one of black and white has 2. Where there is less, what is
# large is not the image: a patch was erased with a colour of 0 to 255.
LEAST_CONTRAST = 2.5


@check(
    "RS112", slug="images-unscaled", severity="fail", needs=[ImageFacts],
    uses=[Curve],
    explains=["RS201", "RS202", "RS203", "RS204", "RS401", "RS403", "RS502", "RS503"],
)  # fmt: skip
def images_unscaled(batches: list[ImageFacts], curve: Curve) -> Finding | None:
    """The images are not scaled: they still run from 0 to 255.

    What it means:
        The first convolution is given raw pixels, not divided by 255. Either nothing normalises them, or it is done
        with a mean and a standard deviation that belong to images of 0 to 1.

    Why it stops learning:
        Pretrained weights expect values around 0 with a spread of 1, and answer to numbers a hundred times as large
        with features that carry nothing. Where batch norm follows at once a training may bear it; then this is a
        warning.

    Mend:
        Scale, then normalise with what the weights were trained with:

            images = images.float() / 255
            images = (images - mean) / std   # ImageNet: (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    Seen in:
        Pipelines that replace `ToTensor` by `torch.from_numpy`, which does not divide by 255.
    """
    last = batches[-1]
    if not all(b.largest > LARGEST and b.smallest >= -BELOW * b.largest for b in batches):
        return None
    if any(b.contrast < LEAST_CONTRAST and b.constant < 1 for b in batches):
        return None
    return Finding(
        f"images of {last.smallest:.0f} to {last.largest:.0f}, mean {last.mean:.1f}; normalised they would be -3 to 3",
        step=batches[0].step,
        severity=grave_if_ce_fails(curve),
    )
