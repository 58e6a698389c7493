"""A config as the subject of trials: each is built anew from its seed, and trained by the reference loop."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, islice
from typing import Any, cast

import torch
from torch.utils.data import DataLoader

from reid_smoke.build.data.loader import build_loader
from reid_smoke.build.data.training_set import TrainingSet, open_training_set
from reid_smoke.build.training import Training, build_training
from reid_smoke.config.differing import differing_settings
from reid_smoke.config.schema import EMBEDDED, Config, DataConfig
from reid_smoke.facts import UnreadableFacts
from reid_smoke.train.loop import train
from reid_smoke.triage.changes import CHANGES
from reid_smoke.triage.observed import play_observed
from reid_smoke.triage.proof import guessing_ce
from reid_smoke.triage.trying import AS_IT_IS, Look, Played


class ConfigSubject:
    """Plays configs.

    build: makes the training of a config, each time with the same weights, batches and augmentation.
    stream: CE of the config as it is, step by step, where that was seen already.
    """

    trials = CHANGES
    has_stream = True
    as_it_is = AS_IT_IS
    most_distinct = sys.maxsize

    def __init__(
        self, config: Config, build: Callable[[Config], Training], device: torch.device, stream: tuple[float, ...] = ()
    ) -> None:
        self.plan = config
        self.stream = stream
        self._build, self._device = build, device
        self._few: dict[str, list[Any]] = {}  # by the data section

    def settings(self, plan: Config) -> tuple[str, ...]:
        return differing_settings(self.plan, plan)

    def play(self, plan: Config, look: Look, tell: Callable[[int, float], None]) -> Played:
        """Build and train."""
        if look.batches == "few":  # for a few batches no processes are worth their start
            plan = plan.model_copy(update={"data": plan.data.model_copy(update={"workers": 0})})

        labels: list[int] = []

        def run() -> None:
            training = self._build(plan)
            if look.batches == "few":
                batches = self._first(plan.data, training.loader, look.distinct)
                labels.extend(label for batch in batches for label in batch.labels.tolist())
                few = _Few(batches, training.steps_per_epoch)
                training = dataclasses.replace(training, loader=cast("DataLoader[Any]", few))
            train(training, max_steps=look.steps, stop=lambda step: False)

        return dataclasses.replace(play_observed(run, self._device, tell), guessing_ce=guessing_ce(labels))

    def _first(self, data: DataConfig, loader: Iterable[Any], count: int) -> list[Any]:
        """The first batches of the training, recorded once for all trials that have them in common."""
        section = data.model_dump_json()
        if len(self._few.get(section, ())) < count:
            self._few[section] = list(islice(loader, count))
        return self._few[section][:count]


class _Few:
    """A few batches over and over, in epochs as long as the loader's: a schedule per epoch must not notice."""

    def __init__(self, batches: list[Any], steps_per_epoch: int) -> None:
        self._batches = cycle(batches)
        self._steps_per_epoch = steps_per_epoch

    def __iter__(self) -> Iterator[Any]:
        return islice(self._batches, self._steps_per_epoch)


class Builder:
    """Builds the training of a config as `run` does; each set of images is opened once.

    training_set: of `config.data`.
    """

    def __init__(self, config: Config, training_set: TrainingSet, device: torch.device) -> None:
        self._sets = {_whose(config.data): training_set}
        self._device = device

    def __call__(self, config: Config) -> Training:
        whose = _whose(config.data)
        if whose not in self._sets:
            self._sets[whose] = open_training_set(config.data)
        training_set = self._sets[whose]
        loader = build_loader(
            training_set, config.data, seed=config.seed, on_unreadable=_known_already, device=self._device
        )
        return build_training(config, training_set, loader, self._device)


def _whose(data: DataConfig) -> tuple[Any, ...]:
    """What decides which images there are; the rest decides how they come."""
    drawn = (data.height, data.width) if data.source in EMBEDDED else ()
    return (data.source, data.root, data.identities, *drawn)


def _known_already(fact: UnreadableFacts) -> None:
    """The baseline has written down which images cannot be read."""
