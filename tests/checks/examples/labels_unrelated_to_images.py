from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Sampler

from tests.checks.tiny import Crops, Model, TinyTraining


class Clothes(Crops):
    """People in colours of their own, on which the light varies."""

    def __init__(self, identities: int = 24, images: int = 40) -> None:
        super().__init__(identities, images)
        generator = torch.Generator().manual_seed(3)
        people = torch.randn(identities, 3, 8, 1, generator=generator)
        light = 0.8 * torch.randn(len(self.labels), 3, 1, 1, generator=generator)
        self.images = people[self.labels] + light + 0.7 * torch.randn(len(self.labels), 3, 8, 8, generator=generator)


class Dressed(TinyTraining):
    def make_dataset(self) -> Dataset[tuple[Tensor, int]]:
        return Clothes(self.identities)


class PathsSortedLabelsNot(Dressed):
    def make_dataset(self) -> Dataset[tuple[Tensor, int]]:
        clothes = Clothes(self.identities)
        clothes.labels = clothes.labels[torch.randperm(len(clothes), generator=torch.Generator().manual_seed(1))]
        return clothes


class SmoothedByHand(PathsSortedLabelsNot):
    """As torchreid and strong-baseline smooth their labels: soft targets, each of one label all the same."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        targets = 0.9 * F.one_hot(labels, self.identities) + 0.1 / self.identities
        return (-targets * self.model(images)[0].log_softmax(1)).mean(0).sum()


class PartsInAnotherOrder(Dressed):
    """The scores of two parts stand below each other, part by part; the labels image by image."""

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.of_part = nn.Linear(512, self.identities, bias=False)
        return model

    def scores(self, images: Tensor) -> Tensor:  # (2 B, C)
        score, feature = self.model(images)
        return torch.cat([score, self.model.of_part(self.model.neck(feature))])

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.scores(images), labels.repeat_interleave(2))


class PartsInOneOrder(PartsInAnotherOrder):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.scores(images), labels.repeat(2))


class OnceAnEpoch(Sampler[list[int]]):
    """As open-reid's sampler has it: an epoch draws each identity once, with four images."""

    def __init__(self, labels: Tensor) -> None:
        self.of = [(labels == label).nonzero().flatten() for label in labels.unique()]

    def __len__(self) -> int:
        return len(self.of) // 8

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.randperm(len(self.of)).tolist()
        for begin in range(0, 8 * len(self), 8):
            chosen = [self.of[at] for at in order[begin : begin + 8]]
            yield [index for own in chosen for index in own[torch.randperm(len(own))[:4]].tolist()]


class EachOnceAnEpoch(Dressed):
    """No identity is in two batches of the first epoch."""

    def make_loader(self) -> DataLoader[tuple[Tensor, int]]:
        clothes = Clothes(self.identities)
        return DataLoader(clothes, batch_sampler=OnceAnEpoch(clothes.labels))


class TurnedAround(EachOnceAnEpoch):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(images, labels.flip(0))


class FrozenAtFirst(Dressed):
    """As fast-reid's FREEZE_ITERS has it: for an epoch no graph shows the images."""

    steps, window = 150, (110, 150)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.taken = getattr(self, "taken", 0) + 1
        self.model.base.requires_grad_(self.taken > 70)
        super().train_step(images, labels)


class FrozenAtFirstLabelsNotSorted(FrozenAtFirst, PathsSortedLabelsNot):
    pass


class OneColourForAll(TinyTraining):
    """Everybody wears the school's uniform: colours tell nothing, and the model learns by faces."""

    def make_dataset(self) -> Dataset[tuple[Tensor, int]]:
        crops = Crops(self.identities, images=40)
        crops.images = crops.images - crops.images.mean(3, keepdim=True)
        crops.images = crops.images / crops.images.std(3, keepdim=True)
        return crops

    def make_model(self) -> Model:
        return Model(self.identities)


SICK = [PathsSortedLabelsNot, SmoothedByHand, PartsInAnotherOrder, TurnedAround, FrozenAtFirstLabelsNotSorted]
HEALTHY = [Dressed, PartsInOneOrder, EachOnceAnEpoch, FrozenAtFirst, OneColourForAll]
