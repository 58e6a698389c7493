from __future__ import annotations

from reid_smoke.pace import Pace


def due(pace: Pace, steps: int) -> list[int]:
    return [step for step in range(1, steps + 1) if pace.is_due(step)]


def test_young_trainings_are_judged_at_every_step_then_at_every_tenth_then_by_a_fifth() -> None:
    assert due(Pace(300), 140) == [*range(1, 11), 20, 30, 40, 50, 60, 72, 86, 103, 123]


def test_the_window_end_is_always_judged_and_then_every_fiftieth() -> None:
    assert due(Pace(123), 260)[-6:] == [86, 103, 123, 150, 200, 250]


def test_a_long_training_is_judged_a_few_dozen_times_in_a_hundred_thousand_steps() -> None:
    assert len(due(Pace(300), 100_000)) < 200


def test_steps_that_are_not_seen_do_not_lose_the_next_one() -> None:
    pace = Pace(300)
    assert pace.is_due(1)
    assert pace.is_due(299)
    assert pace.is_due(301)  # 300 itself was not measured


def test_a_window_that_was_moved_is_judged_at_its_new_end() -> None:
    pace = Pace(20)
    assert due(pace, 20)[-1] == 20
    pace.window_end = 77
    assert [step for step in range(21, 80) if pace.is_due(step)] == [50, 60, 72, 77]
