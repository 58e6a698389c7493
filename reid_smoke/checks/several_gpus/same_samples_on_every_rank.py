from math import isclose

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.several_gpus._ranks import Row, named, side_by_side
from reid_smoke.facts import GraphFacts, RankFacts, StepFacts

STEPS = 8  # two ranks that draw 16 of 400 identities by themselves do not agree once


@check("RS601", slug="same-samples-on-every-rank", severity="fail", needs=[StepFacts, RankFacts, GraphFacts])
def same_samples_on_every_rank(
    steps: list[StepFacts], others: list[RankFacts], graphs: list[GraphFacts]
) -> Finding | None:
    """The ranks see the same samples.

    What it means:
        At every step the batches of two ranks hold the very same identities: each rank has a loader of its own over
        the whole data, and all of them shuffle from the same seed.

    Why it stops learning:
        It learns, as one GPU would: the average of the same gradient N times is that gradient. The other GPUs heat the
        room, and an lr that was raised for a larger batch is too high for the batch that there really is.

    Mend:
        Divide the data among the ranks, and let each epoch have an order of its own:

            sampler = DistributedSampler(dataset)
            loader = DataLoader(dataset, batch_size=64, sampler=sampler, drop_last=True)
            for epoch in range(epochs):
                sampler.set_epoch(epoch)

        A PK sampler has to draw from the rank's own share, or from a seed of the rank's own.

    Seen in:
        IRRA #40, #5 (no distributed sampler).
    """
    rows = side_by_side(steps, others)
    classes = graphs[-1].num_classes
    # A batch that holds everybody is the same everywhere, and one that never changes is another fault.
    telling = [row for row in rows if row[0].batch > 1 and row[0].distinct_labels < classes]
    if len(telling) < STEPS or len({row[0].label_checksum for row in telling}) == 1:
        return None
    alike = [rank for rank in telling[0] if rank and all(_alike(row, rank) for row in telling)]
    if not alike:
        return None
    last = telling[-1]
    return Finding(
        f"{named([0, *alike])} had the same {last[0].batch} labels in all of the {len(telling)} steps compared, "
        f"{last[0].distinct_labels} of {classes} identities in the last of them",
        step=last[0].step,
    )


def _alike(row: Row, rank: int) -> bool:
    one, other = row[0], row[rank]
    return one.batch == other.batch and isclose(one.label_checksum, other.label_checksum, rel_tol=1e-5, abs_tol=1e-5)
