from itertools import pairwise

from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import ScheduleFacts, ScheduleRecord, StepFacts
from reid_smoke.rule import Curve

UPDATES = 40  # within which a schedule that is stepped per step has been stepped more than once or twice
LONGEST_IN_EPOCHS = 1000  # nobody trains for so many epochs
LONGEST_WARM_UP = 100  # epochs: recipes warm up for 5 to 40
HELD = 0.5  # of the learning rate that was set


@check(
    "RS412", slug="schedule-stepped-too-seldom", severity="fail", when="end", needs=[StepFacts, ScheduleFacts],
    uses=[Curve], explains=["RS202", "RS203", "RS204", "RS210", "RS401", "RS417"],
)  # fmt: skip
def schedule_stepped_too_seldom(steps: list[StepFacts], schedules: list[ScheduleFacts], curve: Curve) -> Finding | None:
    """The schedule is stepped too seldom, and the learning rate stays where its warm-up begins.

    What it means:
        The schedule was hardly stepped in many updates, though its lengths can only count steps; or it is never stepped
        at all. A warm-up that does count epochs, and is too low in its first, is `head-lr-too-small`.

    Why it stops learning:
        A warm-up begins at a hundredth or a thousandth of the learning rate that was set. Stepped once an epoch, one of
        500 steps takes 500 epochs to let it through, and beside a head that stands still any other loss looks large. A
        decay counted in steps never comes: that is a warning.

    Mend:
        Step the schedule where its lengths are counted; in steps that is right after the optimizer:

            optimizer.step()
            scheduler.step()

        or count its lengths in epochs: `total_iters=5`, not `5 * len(loader)`.

    Seen in:
        Users' code in which a warm-up written for detection, in iterations, is stepped at the end of an epoch.
    """
    last = schedules[-1]
    if last.updates < UPDATES or not last.schedules:
        return None
    until_judged = [s for s in steps if s.applied and s.lr_head is not None and s.step <= curve.rule.window[1]]
    held, standing = _held(until_judged, last.lr_set), _stands_still(until_judged)
    for schedule in last.schedules:
        if schedule.calls > last.epochs + 1 or schedule.calls > last.updates / 10:
            continue
        fresh = schedule.position - schedule.calls <= 1  # not one that goes on from far down its decay
        held_by_it = standing and fresh and held is not None and 0 < held <= HELD
        if held_by_it and (schedule.warm_up or 0) >= LONGEST_WARM_UP:
            why = f"its warm-up of {schedule.warm_up} can only count steps"
        elif held_by_it and not schedule.calls and last.epochs:
            why = "it is never stepped"
        elif (schedule.length or 0) >= LONGEST_IN_EPOCHS:
            why = f"its length of {schedule.length} can only count steps"
        else:
            continue
        return Finding(
            f"{schedule.name} was stepped {_times(schedule)} in {last.updates} optimizer steps and {last.epochs} full "
            f"epochs, and {why}; {_rate(last)}",
            step=last.step,
            severity=grave_if_ce_fails(curve) if held_by_it else "warn",
        )
    return None


def _held(steps: list[StepFacts], lr_set: float | None) -> float | None:
    """The highest learning rate of the head so far, as a share of the one that was set."""
    return max((s.lr_head or 0.0 for s in steps), default=0.0) / lr_set if lr_set else None


def _stands_still(steps: list[StepFacts]) -> bool:
    """Within an epoch the head's learning rate does not move: no other schedule lifts it step by step."""
    recent = steps[-UPDATES:]
    return len(recent) > UPDATES // 2 and all(a.lr_head == b.lr_head for a, b in pairwise(recent) if a.epoch == b.epoch)


def _times(schedule: ScheduleRecord) -> str:
    return {0: "never", 1: "once"}.get(schedule.calls, f"{schedule.calls} times")


def _rate(schedules: ScheduleFacts) -> str:
    if schedules.lr is None or not schedules.lr_set:
        return "the head's lr is not known"
    return (
        f"head lr {schedules.lr:.3g}, {schedules.lr / schedules.lr_set:.2g} of the {schedules.lr_set:.3g} that was set"
    )
