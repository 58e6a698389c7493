from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import ImageFacts
from reid_smoke.rule import Curve

GRAIN = 0.9  # photographs have 0.02 to 0.2, drawings half; with a large patch erased by noise it is about half, too
SIDE = 16  # pixels; below that a picture is all edges


@check(
    "RS123", slug="images-are-noise", severity="fail", needs=[ImageFacts], uses=[Curve],
    explains=["RS115", "RS118", "RS201", "RS202", "RS203", "RS204", "RS401", "RS403", "RS512"],
)  # fmt: skip
def images_are_noise(batches: list[ImageFacts], curve: Curve) -> Finding | None:
    """The images are noise, pixel by pixel.

    What it means:
        In a picture of anything, a pixel is much like its neighbour. Here two neighbours differ as much as any two
        pixels of the image do.

    Why it stops learning:
        Under the noise next to nothing is left to tell people apart, and it is other noise each time. Where a training
        bears it, this is a warning.

    Mend:
        Look at a batch as the model sees it (`reid-smoke inspect CONFIG` saves one). Noise that an augmentation adds is
        meant for images of the scale that its author had: 25 of 255 is 0.1 of images between 0 and 1.

            images = images + 0.1 * torch.randn_like(images)      # not: 25 * torch.randn_like(images)

        Memory that was never written looks like noise, too: `torch.empty`, a shared buffer that is read too early.

    Seen in:
        Augmentations of strength 25 on images scaled to 0..1; buffers from `torch.empty` that nothing was copied into.
    """
    last = batches[-1]
    if not all(b.grain > GRAIN and min(b.shape[-2:]) >= SIDE for b in batches):
        return None
    return Finding(
        f"neighbouring pixels differ by {last.grain:.0%} of what any two do (variance; photographs: 2 % to 20 %), in "
        f"{'the one batch' if len(batches) == 1 else f'all of the {len(batches)} batches'} looked at",
        step=batches[0].step,
        severity=grave_if_ce_fails(curve),
    )
