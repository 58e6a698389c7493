"""The reference loop. It trains and does nothing else: what is shown of it is seen from outside, as with any loop.

The observer looks through PyTorch's own doors: the loader's iterator, `torch.autograd.backward`, the clipping
functions, the optimizer's hooks and GradScaler. So there is no `.item()` here, no print, no metric.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from reid_smoke.build.training import Training
from reid_smoke.errors import CouldNotJudge

AMP_DTYPES = {"off": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def train(training: Training, *, max_steps: int, stop: Callable[[int], bool]) -> int:
    """Train for `max_steps` batches, or until `stop(step)`, asked after each of them, is true. Returns batches done.

    A step is a batch, counted from 1 and on across epochs. With accumulation the optimizer steps at every
    `accumulate`-th of them; a group that is not full when the epoch ends goes on in the next one.

    Raises CouldNotJudge where the loader yields no batch in a whole epoch, and whatever model, loss and loader raise.
    """
    config, device = training.config.train, training.device
    model, loss_of, optimizer = training.model, training.loss, training.optimizer
    scheduler, scaler = training.scheduler, training.scaler
    autocast = torch.autocast(device.type, dtype=AMP_DTYPES[config.amp], enabled=config.amp != "off")
    per_step = training.config.schedule.per == "step"
    # What the optimizer holds, and no more: zero_grad clears no other gradients, and those would swell the norm.
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    model.train()
    optimizer.zero_grad(set_to_none=True)
    step = 0
    while step < max_steps:
        step_before = step
        for images, labels, _cameras in training.loader:
            step += 1
            # The host goes on while the copy is under way, if the loader pins its memory.
            images = images.to(device, memory_format=training.memory_format, non_blocking=True)  # (B, 3, H, W)
            labels = labels.to(device, non_blocking=True)  # (B,)

            with autocast:
                output = model(images)  # logits (B, C), feature (B, D), bn_feature (B, D)
                loss = loss_of(output, labels)
            # Gradients of the accumulated batches add up; divided, they are those of one large batch's mean.
            loss = loss / config.accumulate
            # fp16 has no numbers under 6e-8, where many gradients lie: the scale lifts them over it.
            (loss if scaler is None else scaler.scale(loss)).backward()

            if step % config.accumulate == 0:
                if config.clip is not None:
                    if scaler is not None:
                        scaler.unscale_(optimizer)  # or the clip would be of the gradients times the scale
                    if config.clip.norm is not None:
                        torch.nn.utils.clip_grad_norm_(parameters, config.clip.norm)
                    elif config.clip.value is not None:
                        torch.nn.utils.clip_grad_value_(parameters, config.clip.value)
                if scaler is None:
                    optimizer.step()
                else:
                    scaler.step(optimizer)  # leaves it out where a gradient overflowed
                    scaler.update()
                if scheduler is not None and per_step:
                    scheduler.step()
                optimizer.zero_grad(set_to_none=True)

            if step == max_steps or stop(step):
                return step
        if step == step_before:
            raise CouldNotJudge(
                f"the loader promised {training.steps_per_epoch} batches an epoch and gave none after step {step}. "
                "Look at the sampler, and whether the data set holds a full batch."
            )
        if scheduler is not None and not per_step:
            scheduler.step()
    return step
