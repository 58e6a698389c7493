from math import sqrt

from reid_smoke.checks._colours import FITS, KEPT, PAIRS, compared, error_of_pairs
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import LikenessFacts

ERRORS = 4.0  # of the difference: several shifts are tried
LEAST = 0.05  # of the difference


@check(
    "RS125", slug="labels-shifted", severity="fail", when="end", needs=[LikenessFacts],
    explains=["RS115", "RS118", "RS202", "RS203", "RS204", "RS401", "RS403", "RS408"],
)  # fmt: skip
def labels_shifted(likeness: list[LikenessFacts]) -> Finding | None:
    """The labels are shifted against their images.

    What it means:
        Moved a place or two within the batch, the labels fit the colours of the images far better than where they
        stand. With PK sampling the images of an identity stand side by side, and a shift by one leaves most of them
        with their own label: CE falls, only too slowly, and no figure of the loss shows why. Or they fit the images of
        the batch before, or after: then nothing can be learnt at all.

    Why it stops learning:
        Of K images side by side one or more carry the label of the neighbour, in every batch and always others: that is
        a share of 1 / K of the labels wrong, and all of them where K is 1.

    Mend:
        Look for a `roll`, and for two iterators, queues or lists of which one is a step ahead of the other. Keep image
        and label in one tuple from the data set to the loss.

            loss = F.cross_entropy(model(images), labels)            # not: labels.roll(1)

    Seen in:
        Prefetchers that hand out the next batch's images beside this batch's labels; a `roll` that was meant for the
        copy that images are mixed with, and was given to the loss.
    """
    last = likeness[-1]
    if not (last.shift or last.batch_shift) or last.pairs < PAIRS or not last.shifted_auc > FITS:
        return None
    error = error_of_pairs(last.pairs)
    if last.shifted_auc - last.auc < max(LEAST, ERRORS * sqrt(2) * error):
        return None
    if not last.carried - 2 * last.carried_error > KEPT:  # rows of the loss that stand in another order than the images
        return None
    return Finding(
        f"two images under one label are more alike in colour than two under different labels in {last.auc:.0%} of the "
        f"cases, and in {last.shifted_auc:.0%} with {_moved(last)} (± {error:.0%}; 50% is chance), {last.pairs} pairs "
        f"among {last.images} {compared(last)}",
        step=last.step,
    )


def _moved(likeness: LikenessFacts) -> str:
    if likeness.batch_shift:
        return f"those of the batch {'before' if likeness.batch_shift > 0 else 'after'} in the labels' place"
    places = f"{abs(likeness.shift)} place" + ("s" if abs(likeness.shift) > 1 else "")
    return f"the labels moved {places} {'on' if likeness.shift > 0 else 'back'} within the batch"
