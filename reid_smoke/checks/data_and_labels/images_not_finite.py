from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import ImageFacts


@check(
    "RS113", slug="images-not-finite", severity="fail", needs=[ImageFacts],
    explains=["RS201", "RS202", "RS203", "RS308", "RS503"],
)  # fmt: skip
def images_not_finite(batches: list[ImageFacts]) -> Finding | None:
    """The images hold NaN or infinity.

    What it means:
        What the first convolution is given are no numbers: an image was divided by its own spread of 0, or a
        normalisation has a standard deviation of 0.

    Why it stops learning:
        One NaN pixel makes its image's feature NaN, batch norm makes the batch NaN, and the first step the weights.

    Mend:
        Divide by `std.clamp_min(1e-6)`. Find the images: `torch.isfinite(image).all()` within the data set's
        `__getitem__`.

    Seen in:
        fast-reid #111, #529 (NaN from the first steps); images standardised one by one, a blank one among them.
    """
    bad = [b for b in batches if b.finite < 1]
    if not bad:
        return None
    first = bad[0]
    return Finding(f"{1 - first.finite:.2%} of the pixels of step {first.step} are NaN or infinite", step=first.step)
