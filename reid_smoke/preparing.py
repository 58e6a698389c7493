"""From a plan to a training about to begin, as quickly as two cores allow.

Everything that can be wrong with the user's input is found here, before anything is written.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from reid_smoke.build.data.training_set import TrainingSet, fixed_subset, open_training_set
from reid_smoke.config.schema import Config, DataConfig
from reid_smoke.errors import CouldNotJudge, ReidSmokeError, UsageError, in_a_line
from reid_smoke.facts import StartupFacts, UnreadableFacts
from reid_smoke.plan import Plan
from reid_smoke.rule import LEAST_STEPS
from reid_smoke.train.ranks import Place, device_of

if TYPE_CHECKING:
    import torch

    from reid_smoke.build.data.loader import Batch
    from reid_smoke.build.training import Training
    from reid_smoke.retrieval.probe import RetrievalProbe

LEAST_WINDOW = 4  # steps, of overfit


class Phases:
    """How long each phase before the first step took.

    started: `time.perf_counter()` at the process's start.
    """

    def __init__(self, started: float) -> None:
        self._last = started
        self._seconds: dict[str, float] = {}

    def end(self, name: str) -> None:
        now = time.perf_counter()
        self._seconds[name], self._last = now - self._last, now

    def facts(self) -> StartupFacts:
        return StartupFacts(phases=self._seconds)


@dataclass(frozen=True)
class Prepared:
    """A training about to begin."""

    training: Training
    training_set: TrainingSet
    window: tuple[int, int]
    steps: int | None  # the last one; None: where the verdict is certain
    retrieval: RetrievalProbe | None  # None: not asked for


def prepare(
    plan: Plan,
    place: Place,
    on_unreadable: Callable[[UnreadableFacts], None],
    on_first: Callable[[Batch], None],
    phases: Phases,
) -> Prepared:
    config = plan.config
    if plan.epochs is None and config.rule.window[1] < LEAST_STEPS:
        raise UsageError(
            f"rule.window {list(config.rule.window)} ends too early: in fewer than {LEAST_STEPS} steps no trend can be "
            "told from noise"
        )
    if plan.hands_over:
        _refuse_handover(config)
    with _reading(config.data) as training_set_of:
        from reid_smoke.build.training import resolve_device

        device = device_of(place, resolve_device(config.device))
        phases.end("importing")
        training_set = training_set_of()
        phases.end("waiting for the data")
    if plan.samples is not None:
        training_set = fixed_subset(training_set, plan.samples, config.seed)
    prepared = build_from(training_set, plan, place, device, on_unreadable, on_first)
    phases.end("building")
    if plan.epochs is None and config.retrieval is not None:
        from reid_smoke.retrieval.probe import retrieval_probe

        retrieval = retrieval_probe(
            config.data, training_set, most=config.retrieval.images, seed=config.seed,
            captions=config.model.text is not None,
        )  # fmt: skip
        prepared = replace(prepared, retrieval=retrieval)
    return prepared


def build_from(
    training_set: TrainingSet,
    plan: Plan,
    place: Place,
    device: torch.device,
    on_unreadable: Callable[[UnreadableFacts], None],
    on_first: Callable[[Batch], None],
) -> Prepared:
    """The training over a set that stands already; the same weights and the same draws each time.

    Raises UsageError (and its kin), and CouldNotJudge where not even the model fits into memory.
    """
    from reid_smoke.build.data.loader import build_loader
    from reid_smoke.build.training import build_training
    from reid_smoke.probes.memory import is_out_of_memory

    config = plan.config
    loader = build_loader(
        training_set, config.data, seed=config.seed, on_unreadable=on_unreadable, on_first=on_first, device=device,
        rank=place.rank, ranks=place.ranks,
    )  # fmt: skip
    try:
        training = build_training(config, training_set, loader, device)
    except Exception as error:
        if isinstance(error, ReidSmokeError) or not is_out_of_memory(error):
            raise
        raise CouldNotJudge(
            f"memory ran out on {device} before the first step, with the model alone ({in_a_line(error)}). "
            "Give a smaller model, or see with nvidia-smi who else holds memory there"
        ) from error
    if plan.hands_over and training.understood is not None and training.understood.feature is None:
        raise UsageError(
            "--continue compares features by SDM, and none is known of this model: name where its output has what the "
            "classifier is fed as model.bn_feature (`reid-smoke inspect` shows the output)"
        )
    if plan.epochs is None:
        return Prepared(training, training_set, config.rule.window, config.train.steps, None)
    each = training.steps_per_epoch
    last = plan.epochs * each
    if last < LEAST_STEPS:
        raise UsageError(
            f"{plan.epochs} epochs over {plan.samples} samples are {last} steps of {config.data.batch_size}, and in "
            f"fewer than {LEAST_STEPS} no trend can be told from noise: "
            f"give --epochs {ceil(LEAST_STEPS / each)} or more"
        )
    # The last epoch; where that is a step or two, a few more, since a single batch says little.
    return Prepared(training, training_set, (last - max(each, LEAST_WINDOW) + 1, last), last, None)


def _refuse_handover(config: Config) -> None:
    """Raises UsageError where SDM would have nothing to compare, or was there from the start."""
    if config.loss.sdm_weight > 0:
        raise UsageError(
            f"loss.sdm_weight is {config.loss.sdm_weight:g}, and --continue hands over from a warm-up without SDM: set "
            "it to 0. The weights that follow are handover.weights"
        )
    if config.model.text is None and (config.data.sampler != "pk" or config.data.instances < 2):
        raise UsageError(
            "--continue raises SDM, which compares two images of an identity, or an image and its caption: set "
            "data.sampler to pk with data.instances of 2 or more, or model.text on a set with captions"
        )


@contextmanager
def _reading(data: DataConfig) -> Iterator[Callable[[], TrainingSet]]:
    """Opens the training set in a process of its own, while this one imports torch: side by side on two cores.

    Both are Python through and through, so that threads would take turns. Where torch has been imported already there
    is nothing to be done meanwhile, and forking a process with threads is better left alone.
    """
    if "torch" in sys.modules:
        yield lambda: open_training_set(data)
        return
    with ProcessPoolExecutor(1, initializer=_follow_the_parent) as pool:
        yield pool.submit(open_training_set, data).result


@contextmanager
def no_collection() -> Iterator[None]:
    """Importing torch makes a million objects that stay: looking through them for garbage costs an eighth of it."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _follow_the_parent() -> None:
    """In the reading process: signals are the parent's to answer, and where it dies, nobody waits for the data."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
