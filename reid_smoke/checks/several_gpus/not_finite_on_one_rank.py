from math import isfinite

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run
from reid_smoke.checks.several_gpus._ranks import named, side_by_side
from reid_smoke.facts import RankFacts, StepFacts

STEPS = 3  # in a row, as RS201 counts them


@check(
    "RS609", slug="not-finite-on-one-rank", severity="fatal", needs=[StepFacts, RankFacts],
    explains=["RS201", "RS202", "RS203", "RS204", "RS503", "RS603"],
)  # fmt: skip
def not_finite_on_one_rank(steps: list[StepFacts], others: list[RankFacts]) -> Finding | None:
    """CE became NaN or infinite on one rank, and the others followed.

    What it means:
        One rank's batch gave a loss that is no number while the other ranks' losses were finite. Averaging the
        gradients hands it on to all of them within one step.

    Why it stops learning:
        NaN spreads to every weight that it touches, and no later step takes it back.

    Mend:
        Look at what that rank was given at that step: an unreadable image, a label, a crop of size 0 in its share of
        the data, or a GPU that miscalculates (run `nvidia-smi -q -d ECC` there). With fp16 use GradScaler, which leaves
        out such a step on all ranks.

    Seen in:
        a single bad file in one rank's share of the data.
    """
    rows = side_by_side(steps, others)
    row = next((row for row in rows if any(not isfinite(fact.ce) for fact in row.values())), None)
    if row is None:
        return None
    bad = [rank for rank, fact in row.items() if not isfinite(fact.ce)]
    if len(bad) == len(row):
        return None
    after = [r for r in rows if r[0].step >= row[0].step]
    stays = len(after) >= STEPS and all(not isfinite(r[bad[0]].ce) for r in after)
    if first_run(steps, lambda s: not isfinite(s.ce), STEPS) is None and not stays:
        return None  # one bad batch that did no harm: GradScaler left it out
    step = row[0].step
    finite = ", ".join(f"{fact.ce:.2f} on rank {rank}" for rank, fact in list(row.items())[:3] if rank not in bad)
    return Finding(f"CE at step {step}: {row[bad[0]].ce} on {named(bad)}, {finite}", step=step)
