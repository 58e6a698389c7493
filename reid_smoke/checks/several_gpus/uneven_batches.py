from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.several_gpus._ranks import side_by_side
from reid_smoke.facts import CrashFacts, LoaderFacts, RankEndFacts, RankFacts, StepFacts


@check(
    "RS608", slug="uneven-batches", severity="warn",
    needs=[StepFacts, RankFacts, LoaderFacts], uses=[CrashFacts, RankEndFacts],
)  # fmt: skip
def uneven_batches(
    steps: list[StepFacts],
    others: list[RankFacts],
    loaders: list[LoaderFacts],
    crashes: list[CrashFacts],
    ends: list[RankEndFacts],
) -> Finding | None:
    """The ranks do not get equally many images.

    What it means:
        One rank's loader has more batches an epoch than another's, or a larger last batch.

    Why it stops learning:
        With more batches a rank waits at the epoch's end for a gradient that never comes: the training hangs until it
        times out. With a smaller last batch the images in it count more, since means of different sizes are averaged
        as if they were equal; of a single image batch norm can make nothing.

    Mend:
        Give every rank as much, and leave the remainder out:

            sampler = DistributedSampler(dataset, drop_last=True)
            loader = DataLoader(dataset, batch_size=64, sampler=sampler, drop_last=True)

        Where the shares have to differ, `with Join([model]):` lets the ranks wait for each other.

    Seen in:
        samplers that cut a list of identities into shares, of which no two hold equally many images.
    """
    rows = side_by_side(steps, others)
    if not rows:
        return None
    last = rows[-1]
    promised = {0: loaders[0].batches_promised, **{rank: last[rank].batches_promised for rank in last if rank}}
    if None not in promised.values() and len(set(promised.values())) > 1:
        broke = bool(crashes) or any(end.how in ("crashed", "killed", "running") for end in ends)
        each = ", ".join(f"{batches} on rank {rank}" for rank, batches in list(promised.items())[:4])
        return Finding(f"batches an epoch: {each}", step=rows[0][0].step, severity="fail" if broke else "warn")
    uneven = [row for row in rows if len({fact.batch for fact in row.values()}) > 1]
    if not uneven:
        return None
    sizes = ", ".join(f"{fact.batch} on rank {rank}" for rank, fact in list(uneven[0].items())[:4])
    return Finding(
        f"images in the batch of step {uneven[0][0].step}: {sizes}; so in {len(uneven)} of {len(rows)} steps compared",
        step=uneven[0][0].step,
    )
