"""The reference loop. It trains and does nothing else: what is shown of it is seen from outside, as with any loop.

The observer looks through PyTorch's own doors: the loader's iterator, `torch.autograd.backward`, the clipping
functions, the optimizer's hooks and GradScaler. So there is no `.item()` here, no print, no metric.
"""

from __future__ import annotations

from collections.abc import Callable

from reid_smoke.build.training import Training
from reid_smoke.errors import CouldNotJudge
from reid_smoke.train.learner import Learner


def train(
    training: Training,
    *,
    max_steps: int,
    stop: Callable[[int], bool],
    learn: Callable[..., None] | None = None,
) -> int:
    """Train for `max_steps` batches, or until `stop(step)`, asked after each of them, is true. Returns batches done.

    A step is a batch, counted from 1 and on across epochs.

    learn: what is done with a batch, see `Learner`, which is also what is done by default.

    Raises CouldNotJudge where the loader yields no batch in a whole epoch, and whatever model, loss and loader raise.
    """
    device, scheduler = training.device, training.scheduler
    per_epoch = training.config.schedule.per == "epoch"
    learn = learn or Learner(training)
    step = 0
    while step < max_steps:
        step_before = step
        for batch in training.loader:
            images, labels, cameras = batch
            step += 1
            # The host goes on while the copy is under way, if the loader pins its memory.
            images = images.to(device, memory_format=training.memory_format, non_blocking=True)  # (B, 3, H, W)
            labels = labels.to(device, non_blocking=True)  # (B,)
            if training.forward is None:
                learn(step, images, labels)
            else:
                tokens = getattr(batch, "tokens", None)
                beside = (cameras, tokens) if tokens is not None else (cameras,)
                learn(step, images, labels, *(part.to(device, non_blocking=True) for part in beside))
            if step == max_steps or stop(step):
                return step
        if step == step_before:
            raise CouldNotJudge(
                f"the loader promised {training.steps_per_epoch} batches an epoch and gave none after step {step}. "
                "Look at the sampler, and whether the data set holds a full batch."
            )
        if scheduler is not None and per_epoch:
            scheduler.step()
    return step
