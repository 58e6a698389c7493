from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.several_gpus._ranks import apart, side_by_side
from reid_smoke.facts import RankFacts, StepFacts

STEPS = 5


@check("RS606", slug="lr-differs-between-ranks", severity="fail", needs=[StepFacts, RankFacts], explains=["RS603"])
def lr_differs_between_ranks(steps: list[StepFacts], others: list[RankFacts]) -> Finding | None:
    """The ranks apply different learning rates.

    What it means:
        The optimizers of two ranks have another lr at the same step: a scheduler that only the first rank steps, an lr
        that is computed from the rank instead of from the number of ranks.

    Why it stops learning:
        The ranks get the same gradient and make different steps of it. From then on their weights differ, and the
        gradients that are averaged belong to different models.

    Mend:
        Build and step optimizer and scheduler the same way on every rank; leave only what is printed and saved to the
        first.

    Seen in:
        `if rank == 0:` around a whole block of which only the printing was meant.
    """
    rows = side_by_side(steps, others)[-STEPS:]
    if len(rows) < STEPS:
        return None
    last = rows[-1]
    for name, what in (("lr_head", "head lr"), ("lr_backbone", "backbone lr")):
        for rank in last:
            if all(apart(getattr(row[0], name), getattr(row[rank], name), 1e-3) for row in rows):
                one, other = getattr(last[0], name), getattr(last[rank], name)
                return Finding(
                    f"{what} {one:.3g} on rank 0 and {other:.3g} on rank {rank}, in the last {STEPS} steps compared",
                    step=last[0].step,
                )
    return None
