from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.several_gpus._ranks import side_by_side
from reid_smoke.checks.several_gpus.same_samples_on_every_rank import same_samples_on_every_rank
from reid_smoke.facts import GraphFacts, LoaderFacts, RankFacts, StepFacts


@check(
    "RS602", slug="data-not-divided-among-ranks", severity="warn",
    needs=[StepFacts, RankFacts, LoaderFacts, GraphFacts],
)  # fmt: skip
def data_not_divided(
    steps: list[StepFacts], others: list[RankFacts], loaders: list[LoaderFacts], graphs: list[GraphFacts]
) -> Finding | None:
    """Every rank goes through the whole data set in an epoch.

    What it means:
        The ranks draw different batches, but each of them from all images: one epoch shows every image as often as
        there are ranks.

    Why it stops learning:
        It does not, but an epoch is not what the schedule takes it for: a warm-up or a decay that counts epochs comes
        N times later than with divided data, and more GPUs make no epoch shorter.

    Mend:
        Divide the data among the ranks with `DistributedSampler(dataset)`, or count the schedule in steps.

    Seen in:
        IRRA #40, #5 (no distributed sampler), where each rank has a seed of its own.
    """
    images = loaders[0].images
    rows = side_by_side(steps, others)
    if not images or not rows or same_samples_on_every_rank.judge(steps, others, graphs) is not None:
        return None
    first = rows[0]
    promised = {0: loaders[0].batches_promised, **{rank: first[rank].batches_promised for rank in first if rank}}
    shares = {rank: (batches or 0) * first[rank].batch / images for rank, batches in promised.items()}
    if not all(0.9 <= share <= 1.1 for share in shares.values()):
        return None
    return Finding(
        f"each of {len(first)} ranks has {promised[0]} batches of {first[0].batch} an epoch, which is all of the "
        f"{images} images",
        step=first[0].step,
    )
