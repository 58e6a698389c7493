"""`reid-smoke inspect --time`: how long a run will take here, from a few of its own steps, of which nothing is kept."""

from __future__ import annotations

import sys
import time
from itertools import pairwise
from math import ceil
from statistics import median

import torch

from reid_smoke.build.data.loader import build_loader
from reid_smoke.build.data.training_set import TrainingSet
from reid_smoke.build.training import build_training, resolve_device
from reid_smoke.config.schema import Config
from reid_smoke.errors import CouldNotJudge, ReidSmokeError
from reid_smoke.report.prose import seconds
from reid_smoke.rule import ENOUGH_LOOKS
from reid_smoke.train.captured import WARM_UP, choose_learner
from reid_smoke.train.loop import train

MEASURED = 8  # steps
LONGEST = 20.0  # seconds, after which fewer must do
FIRST = 2  # steps that take longer than those after them; a GPU has more, and then records its graph


def time_of_run(config: Config, training_set: TrainingSet) -> list[tuple[str, str | None]]:
    """What there is to say of a run's length, as labelled lines. Trains for some ten steps, at most about 20 s.

    Without the probes, which are to cost 3 % at most. Raises as a run does before its first step, and CouldNotJudge
    where a step raises something.
    """
    device = resolve_device(config.device)
    loader = build_loader(
        training_set, config.data, seed=config.seed, on_unreadable=lambda unreadable: None, device=device
    )
    training = build_training(config, training_set, loader, device)
    first = FIRST if device.type == "cpu" else WARM_UP + FIRST
    begun = time.perf_counter()
    ends: list[float] = []

    def is_enough(step: int) -> bool:
        if device.type == "cuda":
            torch.cuda.synchronize()
        ends.append(time.perf_counter())
        return step > first + MEASURED or (step > 1 and ends[-1] - begun > LONGEST)

    try:
        train(training, max_steps=sys.maxsize, stop=is_enough, learn=choose_learner(training))
    except ReidSmokeError:
        raise
    except Exception as error:  # the user's model, data or device
        raise CouldNotJudge(
            f"step {len(ends) + 1} raised {type(error).__name__}: {error}. `reid-smoke run` says where, and why"
        ) from error
    whole = [end - start for start, end in pairwise(ends)]
    took = whole[first:] or whole[-1:]
    step = median(took)
    measured = f"the median of {len(took)} after {len(ends) - len(took)}" if len(took) > 1 else "a single one"
    return [
        ("step", f"{step:.2g} s on {device.type}, {measured}; {config.data.batch_size / step:,.0f} images/s"),
        ("run", _length(step, config, training.num_classes)),
    ]


def _length(step: float, config: Config, identities: int) -> str:
    last = config.train.steps or config.rule.window[1]
    said = f"about {seconds(step * last)} to step {last}, after some seconds to start"
    enough = ceil(ENOUGH_LOOKS * identities / config.data.batch_size)
    if config.train.steps is None and enough > last:
        said += f"; where CE falls and is over the bar there, about {seconds(step * enough)} to step {enough}"
    return said
