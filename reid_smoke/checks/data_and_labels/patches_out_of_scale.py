from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.data_and_labels.images_scaled_to_nothing import LEAST
from reid_smoke.checks.data_and_labels.images_unscaled import LARGEST, LEAST_CONTRAST
from reid_smoke.facts import ImageFacts
from reid_smoke.rule import Curve


@check(
    "RS129", slug="patches-out-of-scale", severity="fail", when="end", needs=[ImageFacts, Curve],
    explains=["RS115", "RS118", "RS202", "RS203", "RS204", "RS401", "RS403", "RS408", "RS503", "RS512"],
)  # fmt: skip
def patches_out_of_scale(batches: list[ImageFacts], curve: Curve) -> Finding | None:
    """A part of the images is on another scale than the rest.

    What it means:
        Within a typical image the pixels differ by about 1, as normalised ones do, and somewhere in the batch there are
        values of 30 and more: patches that were erased with a colour of 0 to 255, or a border that was padded with one.

    Why it stops learning:
        The patch is the loudest thing in the image by far. The first layers and their batch norms answer to where it
        lies, and what it leaves of the person drowns. Where CE falls all the same, nothing is said.

    Mend:
        Erase after normalising with 0, or with the normalised mean, and pad before `ToTensor`:

            T.RandomErasing(p=0.5, value=0)          # not: value=(123.7, 116.3, 103.5)

    Seen in:
        fast-reid's pixel means of 0 to 255, given to a random erasing behind a `ToTensor` that scales.
    """
    far = with_loud_patches(batches)
    if not far or grave_if_ce_fails(curve) != "fail":
        return None
    last = far[-1]
    return Finding(
        f"images of {last.smallest:.0f} to {last.largest:.0f}, in which a channel's pixels have a standard deviation "
        f"of {last.contrast:.2g} (lower quartile of the batch): normalised they would be -3 to 3",
        step=far[0].step,
    )


def with_loud_patches(batches: list[ImageFacts]) -> list[ImageFacts]:
    """Those in which something is far louder than a typical image; empty where they are not most of them."""
    far = [b for b in batches if max(b.largest, -b.smallest) > LARGEST and LEAST <= b.contrast < LEAST_CONTRAST]
    return far if 2 * len(far) > len(batches) else []
