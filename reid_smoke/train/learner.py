"""What the reference loop does with one batch."""

from __future__ import annotations

import torch
from torch import Tensor

from reid_smoke.build.training import Training

AMP_DTYPES = {"off": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Learner:
    """Called with each batch in turn, it updates the model: `learner(step, images, labels)`, steps counted from 1.

    With accumulation the optimizer steps at every `accumulate`-th batch; a group that is not full when the epoch ends
    goes on in the next one.
    """

    def __init__(self, training: Training) -> None:
        config, optimizer = training.config.train, training.optimizer
        self._training = training
        self._accumulate, self._clip = config.accumulate, config.clip
        self._autocast = torch.autocast(training.device.type, dtype=AMP_DTYPES[config.amp], enabled=config.amp != "off")
        self._scheduler = training.scheduler if training.config.schedule.per == "step" else None
        # What the optimizer holds, and no more: zero_grad clears no other gradients, and those would swell the norm.
        self._parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        training.model.train()
        optimizer.zero_grad(set_to_none=True)

    def __call__(self, step: int, images: Tensor, labels: Tensor, *beside: Tensor) -> None:
        """images (B, 3, H, W), labels (B,); beside: cameras (B,) and, of sets with captions, tokens (B, L), where the
        training has a `forward` that takes them. All on the training's device."""
        self.add_gradients(images, labels, *beside)
        if step % self._accumulate == 0:
            self.update()
            self.schedule()
            self._training.optimizer.zero_grad(set_to_none=True)

    def add_gradients(self, images: Tensor, labels: Tensor, *beside: Tensor) -> None:
        training = self._training
        with self._autocast:
            # logits (B, C), feature (B, D), bn_feature (B, D)
            output = training.model(images) if training.forward is None else training.forward(images, labels, *beside)
            loss = training.loss(output, labels)
        # Gradients of the accumulated batches add up; divided, they are those of one large batch's mean.
        loss = loss / self._accumulate
        # fp16 has no numbers under 6e-8, where many gradients lie: the scale lifts them over it.
        (loss if training.scaler is None else training.scaler.scale(loss)).backward()

    def update(self) -> None:
        """Clip, and let the optimizer step."""
        optimizer, scaler, clip = self._training.optimizer, self._training.scaler, self._clip
        if clip is not None:
            if scaler is not None:
                scaler.unscale_(optimizer)  # or the clip would be of the gradients times the scale
            if clip.norm is not None:
                torch.nn.utils.clip_grad_norm_(self._parameters, clip.norm)
            elif clip.value is not None:
                torch.nn.utils.clip_grad_value_(self._parameters, clip.value)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)  # leaves it out where a gradient overflowed
            scaler.update()

    def schedule(self) -> None:
        """The schedule's step, where it makes one after each update."""
        if self._scheduler is not None:
            self._scheduler.step()
