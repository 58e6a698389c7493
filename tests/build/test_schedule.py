import math
import warnings

import pytest
import torch
from torch.optim import lr_scheduler

from reid_smoke.build.schedule import build_scheduler, lr_factor
from reid_smoke.config.schema import ScheduleConfig
from reid_smoke.errors import UsageError


def lrs(scheduler_of, steps, base=(1e-2, 1e-5)):
    """The lr of each group at each of so many steps, as the optimizer applies it."""
    parameters = [torch.nn.Parameter(torch.ones(1)) for _ in base]
    optimizer = torch.optim.SGD([{"params": [p], "lr": lr} for p, lr in zip(parameters, base, strict=True)])
    scheduler = scheduler_of(optimizer)
    seen = []
    for _ in range(steps):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return seen


def ours(steps, **config):
    return lrs(lambda optimizer: build_scheduler(ScheduleConfig(**config), optimizer, 10), steps)


def test_constant_is_no_scheduler():
    assert ours(3) == [[1e-2, 1e-5]] * 3


def test_warm_up_by_hand():
    head = [lr for lr, _ in ours(6, name="warmup", warmup=4, warmup_factor=0.2)]
    assert head == pytest.approx([0.002, 0.004, 0.006, 0.008, 0.01, 0.01])
    backbone = [lr for _, lr in ours(6, name="warmup", warmup=4, warmup_factor=0.2)]
    assert backbone == pytest.approx([0.2e-5, 0.4e-5, 0.6e-5, 0.8e-5, 1e-5, 1e-5])


def test_cosine_by_hand_and_stays_at_the_bottom():
    head = [lr for lr, _ in ours(7, name="cosine", length=4)]
    assert head == pytest.approx([0.01, 0.005 * (1 + math.sqrt(0.5)), 0.005, 0.005 * (1 - math.sqrt(0.5)), 0, 0, 0])


def test_cosine_after_warm_up_by_hand():
    head = [lr for lr, _ in ours(7, name="cosine", length=6, warmup=2, warmup_factor=0.5)]
    quarter = math.sqrt(0.5)
    assert head == pytest.approx([0.005, 0.0075, 0.01, 0.005 * (1 + quarter), 0.005, 0.005 * (1 - quarter), 0])


def test_multistep_by_hand_counts_milestones_from_the_start():
    head = [lr for lr, _ in ours(8, name="multistep", milestones=[6, 4], gamma=0.1, warmup=2, warmup_factor=0.5)]
    assert head == pytest.approx([0.005, 0.0075, 0.01, 0.01, 1e-3, 1e-3, 1e-4, 1e-4])


@pytest.mark.parametrize(("config", "torchs"), [
    ({"name": "warmup", "warmup": 7, "warmup_factor": 0.03},
     lambda o: lr_scheduler.LinearLR(o, start_factor=0.03, total_iters=7)),
    ({"name": "cosine", "length": 12}, lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=12)),
    ({"name": "multistep", "milestones": [3, 9], "gamma": 0.3},
     lambda o: lr_scheduler.MultiStepLR(o, milestones=[3, 9], gamma=0.3)),
])  # fmt: skip
def test_each_is_torchs_own_scheduler(config, torchs):
    assert torch.tensor(ours(13, **config)).flatten().tolist() == pytest.approx(
        torch.tensor(lrs(torchs, 13)).flatten().tolist(), rel=1e-6, abs=1e-12
    )


def test_a_cosine_is_120_epochs_long_by_default():
    per_epoch = lr_factor(ScheduleConfig(name="cosine", per="epoch"), steps_per_epoch=10)
    per_step = lr_factor(ScheduleConfig(name="cosine", per="step"), steps_per_epoch=10)
    assert per_epoch(60) == pytest.approx(0.5)
    assert per_step(600) == pytest.approx(0.5)
    assert per_step(1200) == pytest.approx(0.0)


@pytest.mark.parametrize(("config", "message"), [
    ({"name": "warmup"}, "needs schedule.warmup"),
    ({"name": "constant", "warmup": 5}, "has no warm-up, but schedule.warmup is 5"),
    ({"name": "cosine", "warmup": 5, "length": 5}, "schedule.length 5 ends before schedule.warmup 5 does, in steps"),
])  # fmt: skip
def test_settings_that_contradict_each_other_are_told(config, message):
    with pytest.raises(UsageError, match=message):
        lr_factor(ScheduleConfig(**config), 10)


def test_nothing_is_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours(5, name="cosine", length=4, warmup=2)
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])
        scheduler = build_scheduler(ScheduleConfig(name="warmup", warmup=3), optimizer, 10)
        scheduler.step()  # as after a step that the GradScaler left out
