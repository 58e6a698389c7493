from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import StepFacts
from reid_smoke.rule import Curve

UPDATES = 20  # by the window's end: with Adam at 1e-2 a weight has then come 0.2 far, and the logits with it
BATCHES = 8  # for each update: accumulation of 2 to 8 is usual


@check(
    "RS313", slug="accumulates-too-long", severity="fail", when="end", needs=[StepFacts],
    uses=[Curve], explains=["RS202", "RS203", "RS401", "RS417"],
)  # fmt: skip
def accumulates_too_long(steps: list[StepFacts], curve: Curve) -> Finding | None:
    """The optimizer steps so seldom that nothing can have been learnt.

    What it means:
        Gradients are accumulated over so many batches that only a few updates were made in the whole window.

    Why it stops learning:
        It would, but weights move by about a learning rate an update, and a handful of updates is no distance.

    Mend:
        Accumulate over fewer batches, 2 to 8, or judge the training later by moving the window:

            reid-smoke watch --window 2000:3000 train.py

    Seen in:
        Accumulation counted in images instead of batches (`accumulate = 64` at batch 8).
    """
    updates = sum(s.applied for s in steps)
    if not 0 < updates < UPDATES or len(steps) < BATCHES * updates or curve.word == "short":
        return None
    return Finding(
        f"{updates} updates in {len(steps)} batches, one in {len(steps) / updates:.0f}; CE {curve.ce.window_mean:.2f}",
        step=steps[-1].step,
        severity=grave_if_ce_fails(curve),
    )
