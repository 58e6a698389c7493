import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.by_hand import SteppedBySigns
from tests.checks.tiny import Model, TinyTraining


class OnlyTheBackbone(TinyTraining):
    steps = 40
    window = (20, 40)

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.base.parameters(), lr=1e-3)


class HeadOutsideOfTheModel(TinyTraining):
    """A classifier module of its own, as Simple-CCReID has it, that nobody handed over."""

    steps = 40
    window = (20, 40)

    def make_model(self) -> Model:
        self.head = nn.Linear(512, self.identities, bias=False)
        nn.init.normal_(self.head.weight, std=0.001)
        model = Model(self.identities)
        del model.classifier
        return model

    def make_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.parameters(), lr=1e-3)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.head(self.model.neck(self.model.base(images))), labels)


class OnlyOneOfTwoHeads(TinyTraining):
    """Parts of a model whose groups were made for the first head; by itself that one is too slow."""

    lr_head = 1e-4
    steps = 40
    window = (20, 40)

    def after_building(self) -> None:
        self.second = nn.Linear(512, self.identities, bias=False)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.base(images)
        first, second = self.model.classifier(self.model.neck(feature)), self.second(self.model.neck(feature))
        return F.cross_entropy(first, labels) + F.cross_entropy(second, labels)


class OnePartForgotten(OnlyOneOfTwoHeads):
    """CE of the judged head falls all the same."""

    lr_head = 1e-2


class OnePartSteppedByHand(OnePartForgotten):
    def train_step(self, images: Tensor, labels: Tensor) -> None:
        super().train_step(images, labels)
        weight = self.second.weight
        with torch.no_grad():
            if weight.grad is not None:
                weight -= 0.1 * weight.grad
        weight.grad = None


class LeftOutByHand(SteppedBySigns):
    """Of a loop that takes its steps by itself, as optimizers that are none of torch's do."""

    def stepped(self) -> list[nn.Parameter]:
        return self.other_parameters()


class TwoOptimizers(TinyTraining):
    """The head has an optimizer of its own."""

    def make_optimizer(self) -> torch.optim.Optimizer:
        self.second = torch.optim.SGD(self.head_parameters(), lr=0.5)
        return torch.optim.AdamW(self.other_parameters(), lr=1e-4)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.second.zero_grad()
        super().train_step(images, labels)
        self.second.step()


class TwoPhases(TinyTraining):
    """The head first, and then everything, with an optimizer that is built in between."""

    frozen_until = 8
    taken = 0

    def make_optimizer(self) -> torch.optim.Optimizer:
        self.model.base.requires_grad_(False)
        return torch.optim.AdamW([p for p in self.model.parameters() if p.requires_grad], lr=1e-2)

    def second_optimizer(self) -> torch.optim.Optimizer:
        groups = [{"params": self.head_parameters(), "lr": 1e-2}, {"params": self.other_parameters(), "lr": 1e-4}]
        return torch.optim.AdamW(groups)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        if self.taken == self.frozen_until:
            self.model.base.requires_grad_(True)
            self.optimizer = self.second_optimizer()
        self.taken += 1
        super().train_step(images, labels)


class TheSecondWithoutTheHead(TwoPhases):
    def second_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.base.parameters(), lr=1e-4)


SICK = [
    OnlyTheBackbone, HeadOutsideOfTheModel, OnlyOneOfTwoHeads, OnePartForgotten, TheSecondWithoutTheHead, LeftOutByHand,
]  # fmt: skip
HEALTHY = [TwoOptimizers, TwoPhases, OnePartSteppedByHand, SteppedBySigns]
