from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import ImageFacts

BATCHES = 2  # measured: a first batch of blanks may be a warm-up of theirs


@check(
    "RS111", slug="images-constant", severity="fatal", needs=[ImageFacts],
    explains=["RS114", "RS202", "RS203", "RS204", "RS312", "RS401", "RS403", "RS502", "RS503"],
)  # fmt: skip
def images_constant(batches: list[ImageFacts]) -> Finding | None:
    """The images are blank.

    What it means:
        What the first convolution is given is one value all over each image.

    Why it stops learning:
        Blank images are all alike: nobody can be told from anybody.

    Mend:
        Look at one batch as the model gets it, after all transforms:

            torchvision.utils.save_image(images, "batch.png", normalize=True)

        An integer division (`image // 255`), a division by 255 twice before a cast to uint8, a buffer that is allocated
        and never filled, and an erasing that covers the whole image all give this.

    Seen in:
        Images divided by 255 twice; strong-baseline #54 (random erasing).
    """
    blank = [b for b in batches if b.constant == 1]
    if len(blank) < BATCHES or len(blank) < len(batches):
        return None
    last = blank[-1]
    return Finding(
        f"all {last.shape[0]} images of steps {', '.join(str(b.step) for b in blank[:3])} are one value all over, "
        f"between {last.smallest:.3g} and {last.largest:.3g}",
        step=blank[BATCHES - 1].step,
    )
