import torch
from torch import Tensor

from tests.checks.tiny import TinyTraining


class TooMuchAfterTheWindow(TinyTraining):
    """The verdict stands by then, and so this is a warning."""

    steps = 110

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        if self.step_number == self.window[1] + 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        super().train_step(images, labels)


class TakenFromTheCpu(TooMuchAfterTheWindow):
    def train_step(self, images: Tensor, labels: Tensor) -> None:
        if self.step_number == self.window[1] + 1:
            try:
                torch.empty(2**50)
            except RuntimeError as error:
                raise ValueError("no batch of this size can be had") from error
        super().train_step(images, labels)


class AnotherCrash(TinyTraining):
    def train(self) -> None:
        super().train()
        raise RuntimeError("no memory of where the checkpoint went")


SICK = [TooMuchAfterTheWindow, TakenFromTheCpu]
HEALTHY = [AnotherCrash]
