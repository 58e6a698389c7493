import torch
from torch import Tensor, nn

from tests.checks.memory_bank import MemoryBank
from tests.checks.tiny import TinyTraining


class NamesWithAPrefix(TinyTraining):
    """The pattern for the backbone knows nothing of the wrapper's prefix."""

    def other_parameters(self) -> list[nn.Parameter]:
        return [p for n, p in self.model.named_parameters() if n.startswith("module.base")]


class LinearProbe(TinyTraining):
    """Weights that no initialisation draws, kept as they are by an optimizer of the head alone: a warning."""

    def after_building(self) -> None:
        for parameter in self.model.base.parameters():
            if parameter.dim() >= 2:
                with torch.no_grad():
                    parameter.copy_(parameter * (1 + 3 * torch.rand_like(parameter).pow(4)))

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.head_parameters(), lr=self.lr_head)


class OnlyTheNeckBesideAMemory(MemoryBank):
    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.neck.parameters(), lr=1e-5)


class OneOfTwoSteps(TinyTraining):
    """An optimizer for each part, as in a loop that was made for a critic, and one line is missing."""

    def after_building(self) -> None:
        self.other = torch.optim.AdamW(self.other_parameters(), lr=self.lr_backbone)
        self.optimizer = torch.optim.AdamW(self.head_parameters(), lr=self.lr_head)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()
        self.other.zero_grad()
        self.loss(images, labels).backward()
        self.optimizer.step()
        self.step_other()

    def step_other(self) -> None:
        pass


class BothStep(OneOfTwoSteps):
    def step_other(self) -> None:
        self.other.step()


class TheHeadComesFirst(OneOfTwoSteps):
    """The backbone waits until the head has learnt something."""

    def step_other(self) -> None:
        if self.step_number > 20:
            self.other.step()


class FrozenByName(NamesWithAPrefix):
    def after_building(self) -> None:
        self.model.base.requires_grad_(False)


class OneLayerStands(TinyTraining):
    """The stem is kept, as fine-tuning often does, only without saying so."""

    def other_parameters(self) -> list[Tensor]:
        return [p for n, p in self.model.named_parameters() if "classifier" not in n and "conv1" not in n]


SICK = [NamesWithAPrefix, LinearProbe, OnlyTheNeckBesideAMemory, OneOfTwoSteps]
HEALTHY = [MemoryBank, FrozenByName, OneLayerStands, BothStep, TheHeadComesFirst]
