from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Sampler

from tests.checks.examples.labels_unrelated_to_images import Clothes, Dressed


class SideBySide(Sampler[list[int]]):
    """PK sampling: P identities a batch, K images of each in a row."""

    def __init__(self, labels: Tensor, people: int, images: int) -> None:
        self.of = [(labels == label).nonzero().flatten() for label in labels.unique()]
        self.people, self.images = people, images
        self.length = len(labels) // (people * images)

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(self.length):
            chosen = [self.of[at] for at in torch.randperm(len(self.of))[: self.people].tolist()]
            yield [index for own in chosen for index in own[torch.randperm(len(own))[: self.images]].tolist()]


class OfFour(Dressed):
    def make_loader(self) -> DataLoader[tuple[Tensor, int]]:
        clothes = Clothes(self.identities)
        return DataLoader(clothes, batch_sampler=SideBySide(clothes.labels, people=4, images=4))


class RolledByOne(OfFour):
    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(images, labels.roll(1))


class RolledAtRandom(Dressed):
    """Another sampler: all labels are wrong."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(images, labels.roll(-1))


class OfTheBatchBefore(Dressed):
    """A prefetcher that has the next images already, and still this batch's labels."""

    def after_building(self) -> None:
        self.last: Tensor | None = None

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        given, self.last = labels if self.last is None else self.last, labels
        return super().loss(images, given)


class TwoViewsInterleaved(OfFour):
    """Each image twice, view after view; the loss has all the first views in front, and the labels with them."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        views = torch.stack([images, images.flip(3)], 1).flatten(0, 1)  # (2 B, ...)
        score = self.model(views)[0].view(len(images), 2, -1).transpose(0, 1).flatten(0, 1)
        return F.cross_entropy(score, labels.repeat(2))


SICK = [RolledByOne, RolledAtRandom, OfTheBatchBefore]
HEALTHY = [OfFour, TwoViewsInterleaved]
