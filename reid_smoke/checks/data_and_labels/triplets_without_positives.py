from statistics import fmean

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import GraphFacts, StepFacts

LEAST = 10  # steps
MOST = 2 / 3  # of the rows


@check("RS126", slug="triplets-without-positives", severity="warn", needs=[GraphFacts, StepFacts])
def triplets_without_positives(graphs: list[GraphFacts], steps: list[StepFacts]) -> Finding | None:
    """A loss over pairs of one identity is given batches in which most images are the only one of theirs.

    What it means:
        Beside CE there is a triplet loss, or another that compares the batch's features and picks pairs by who is under
        one label. The sampler draws images at random, and most of them come without a second one of their identity.

    Why it stops learning:
        The hardest positive of such an image is itself, at a distance of 0. So it is never drawn towards its own kind,
        only pushed away from all others, and once all are a margin apart the loss is 0 and says nothing. CE goes on by
        itself, and hides it.

    Mend:
        Draw P identities and K images of each. In place of `shuffle=True`:

            loader = DataLoader(dataset, batch_sampler=PKSampler(labels, people=16, images=4))

        Such a sampler is called `RandomIdentitySampler` in torchreid, and `NaiveIdentitySampler` in fastreid.

    Seen in:
        Options that choose sampler and loss apart from each other: strong-baseline's `DATALOADER.SAMPLER: softmax` with
        a triplet loss added by hand.
    """
    found = [graph for graph in graphs if graph.pairs_by_label]
    counted = [step for step in steps if step.batch > 1]
    if not found or len(counted) < LEAST:
        return None
    # Whoever is not alone is with one other at least: of d identities among b images 2 d - b are alone, or more.
    alone = fmean(max(0, 2 * step.distinct_labels - step.batch) / step.batch for step in counted)
    if alone <= MOST:
        return None
    images, people = fmean(s.batch for s in counted), fmean(s.distinct_labels for s in counted)
    return Finding(
        f"a batch holds {images:.0f} images of {people:.1f} identities (means of {len(counted)} steps): at least "
        f"{alone:.0%} of the images have no second one of their identity, and the loss picks pairs by identity",
        step=counted[-1].step,
    )
