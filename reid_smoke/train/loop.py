"""The reference loop. It trains and does nothing else: what is shown of it is seen from outside, as with any loop.

The observer looks through PyTorch's own doors: the loader's iterator, `torch.autograd.backward`, the clipping
functions, the optimizer's hooks and GradScaler. So there is no `.item()` here, no print, no metric.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from reid_smoke.build.training import Training
from reid_smoke.errors import CouldNotJudge
from reid_smoke.train.learner import Learner


class Batches:
    """The loader's batches one after another, epoch upon epoch. Where a loop ends within an epoch, the next one that
    is given these goes on in it.

    `step`: how many were given; a step is a batch, counted from 1 and on across epochs. `step_in_epoch`: of the last
    one. `last`: that one itself.

    Iterating raises CouldNotJudge where the loader yields no batch in a whole epoch.
    """

    def __init__(self, training: Training) -> None:
        self.step = self.step_in_epoch = 0
        self.last: Any = None
        self._given = self._endless(training)

    def __iter__(self) -> Iterator[Any]:
        return self._given

    def _endless(self, training: Training) -> Iterator[Any]:
        while True:
            self.step_in_epoch = 0
            for self.last in training.loader:
                self.step += 1
                self.step_in_epoch += 1
                yield self.last
            if not self.step_in_epoch:
                raise CouldNotJudge(
                    f"the loader promised {training.steps_per_epoch} batches an epoch and gave none after step "
                    f"{self.step}. Look at the sampler, and whether the data set holds a full batch."
                )


def train(
    training: Training,
    *,
    max_steps: int,
    stop: Callable[[int], bool],
    learn: Callable[..., None] | None = None,
    batches: Batches | None = None,
) -> int:
    """Train up to step `max_steps`, or until `stop(step)`, asked after each step, is true. Returns the last step.

    learn: what is done with a batch, see `Learner`, which is also what is done by default.
    batches: goes on where a loop before this one ended; by default a new epoch begins.

    Raises CouldNotJudge where the loader yields no batch in a whole epoch, and whatever model, loss and loader raise.
    """
    device, scheduler = training.device, training.scheduler
    per_epoch = training.config.schedule.per == "epoch"
    learn = learn or Learner(training)
    batches = batches or Batches(training)
    for batch in batches:
        images, labels, cameras = batch
        step = batches.step
        if scheduler is not None and per_epoch and step > 1 and batches.step_in_epoch == 1:
            scheduler.step()
        # The host goes on while the copy is under way, if the loader pins its memory.
        images = images.to(device, memory_format=training.memory_format, non_blocking=True)  # (B, 3, H, W)
        labels = labels.to(device, non_blocking=True)  # (B,)
        if training.forward is None:
            learn(step, images, labels)
        else:
            tokens = getattr(batch, "tokens", None)
            beside = (cameras, tokens) if tokens is not None else (cameras,)
            learn(step, images, labels, *(part.to(device, non_blocking=True) for part in beside))
        if step >= max_steps or stop(step):
            break
    return batches.step
