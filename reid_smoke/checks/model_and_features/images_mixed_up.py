from math import isfinite

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import LikenessFacts
from reid_smoke.rule import Curve

BATCHES = 5
NONE = 0.09  # correlation, the mean and two standard errors; untrained networks carry over 0.14 to 0.6
KEPT = 0.2  # correlation: of this a product with the head's weights leaves most
ERRORS = 2.0
TELLS = 0.53  # of the colours, by whose likeness that of the features is measured: they mean something here


@check(
    "RS512", slug="images-mixed-up", severity="fail", when="end", needs=[LikenessFacts, Curve],
    explains=["RS115", "RS202", "RS203", "RS204", "RS401", "RS403", "RS501"],
)  # fmt: skip
def images_mixed_up(likeness: list[LikenessFacts], curve: Curve) -> Finding | None:
    """The features carry nothing of their images: they are mixed up, or drowned in noise.

    What it means:
        Images that look alike have features no more alike than any other two. Even a network that has learnt nothing
        carries over something of how like two images are; here nothing is left of it: the
        images of the batch were mixed up on the way, or noise drowns them. Or the features have kept it, and the
        logits that the loss was given have not: then it was lost between the two.

    Why it stops learning:
        The label of one image meets the feature of another, or a mixture of several. Nothing can be learnt of that.

    Mend:
        A `view` or `reshape` keeps the order in memory, and moves no dimension: batch and channels are exchanged with
        `permute` or `transpose`, tokens first or batch first must be what the layer expects.

            x = x.flatten(2).transpose(1, 2)          # (B, D, H, W) -> (B, N, D); not: x.reshape(B, -1, D)
            scores = scores.t()                       # (C, B) -> (B, C); not: scores.reshape(B, C)
            parts = [x[:, i] for i in range(P)]       # of (B, P, D); not: x.reshape(P, B, D)

        Feed one image with two different batches around it in eval mode: its feature must be the same.

    Seen in:
        Parts of PCB-like models cut with `view`; attention layers that expect (N, B, D); features gathered or shuffled
        (as for MoCo's batch norm) and not put back in order.
    """
    last = likeness[-1]
    if isfinite(last.auc) and last.auc < TELLS:
        return None
    if last.batches < BATCHES or curve.word not in ("flat", "slow", "rises"):
        return None
    if not last.carried + ERRORS * last.carried_error < NONE:
        return _behind_the_feature(last)
    return Finding(
        f"over the pairs of a batch, distances of images and distances of their features have a correlation of "
        f"{last.carried:.2f} ± {last.carried_error:.2f} (mean of {last.batches} batches)",
        step=last.step,
    )


def _behind_the_feature(last: LikenessFacts) -> Finding | None:
    kept = last.carried - ERRORS * last.carried_error > KEPT
    if not kept or not last.carried_to_loss + ERRORS * last.carried_to_loss_error < NONE:
        return None
    return Finding(
        f"over the pairs of a batch, distances of images and distances of their features have a correlation of "
        f"{last.carried:.2f} ± {last.carried_error:.2f}, those of images and of the loss's logits one of "
        f"{last.carried_to_loss:.2f} ± {last.carried_to_loss_error:.2f} (means of {last.batches} batches)",
        step=last.step,
    )
