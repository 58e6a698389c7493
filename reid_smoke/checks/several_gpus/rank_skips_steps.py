from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.several_gpus._ranks import side_by_side
from reid_smoke.facts import RankFacts, StepFacts

SKIPS = 3  # more than an accumulation that is counted from another step can make


@check("RS607", slug="rank-skips-steps", severity="fail", needs=[StepFacts, RankFacts], explains=["RS603"])
def rank_skips_steps(steps: list[StepFacts], others: list[RankFacts]) -> Finding | None:
    """One rank leaves out steps that the others make.

    What it means:
        After as many batches the optimizer of one rank has stepped less often: a batch that is skipped where its own
        loss is too large or not a number, a GradScaler that looks at unaveraged gradients.

    Why it stops learning:
        A step that one rank leaves out makes its weights differ from the others' for good. Where it leaves out the
        backward as well, the others wait for its gradient until they time out.

    Mend:
        Let all ranks decide together, on a figure that is the same everywhere:

            bad = (~torch.isfinite(loss)).float()
            torch.distributed.all_reduce(bad)
            if bad.item() == 0:
                optimizer.step()

    Seen in:
        `if torch.isnan(loss): continue` in a training over several GPUs.
    """
    rows = side_by_side(steps, others)
    if not rows:
        return None
    last = rows[-1]
    most = max(last.values(), key=lambda fact: fact.updates)
    least = min(last.values(), key=lambda fact: fact.updates)
    if most.updates - least.updates < max(SKIPS, 0.02 * most.updates):
        return None
    return Finding(
        f"by step {least.step} the optimizer stepped {least.updates} times on rank {least.rank} and {most.updates} "
        f"times on rank {most.rank}",
        step=least.step,
    )
