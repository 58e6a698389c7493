from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import HandoverFacts

MOST = 0.15  # of the rows


@check("RS130", slug="rows-without-positive", severity="warn", when="end", needs=[HandoverFacts])
def rows_without_positive(stretches: list[HandoverFacts]) -> Finding | None:
    """Many rows of SDM have no positive: the sampler brings no second image of their identity.

    What it means:
        SDM compares each row with the other side, and asks for high similarity where the identity is the same. In these
        rows nothing on the other side shows the identity but the same picture once more, as PK sampling repeats it for
        an identity that has too few. An image's own caption is a positive, and no row of image and caption counts here.

    Why it stops learning:
        Such a row teaches nothing of the identity: an image is like itself from the first step on. What is left of its
        gradient pushes others away. Over 15 % of them, and SDM's weight is spent on the augmentation.

    Mend:
        Leave identities of one image out of the training, or find them more: `reid-smoke inspect` counts the images of
        each. A lower weight of SDM does not help, since it takes from the other rows, too.

    Seen in:
        The field's `RandomIdentitySampler` draws with `np.random.choice(..., replace=True)` where an identity has fewer
        images than K; this project's PK sampling repeats them as well.
    """
    rows = sum(stretch.rows for stretch in stretches)
    without = sum(stretch.rows_without_positive for stretch in stretches)
    if not rows or without / rows <= MOST:
        return None
    return Finding(
        f"{without / rows:.0%} of SDM's {rows:,} rows have no positive, over steps "
        f"{stretches[0].step - stretches[0].steps + 1} to {stretches[-1].step}; {MOST:.0%} are tolerable",
        step=stretches[-1].step,
    )
