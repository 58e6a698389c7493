from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from tests.checks.examples.labels_unrelated_to_images import Clothes
from tests.checks.tiny import Crops, TinyTraining


class NumberedAnew(TinyTraining):
    """The dictionary from pid to label is built anew for each epoch, from a set."""

    def after_building(self) -> None:
        self.label_of = torch.arange(self.identities)

    def after_epoch(self) -> None:
        self.label_of = torch.randperm(self.identities)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(images, self.label_of[labels])


class TwoBatchesAhead(NumberedAnew):
    """A prefetcher has fetched the third batch of an epoch when the first goes through the loss."""

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            ahead: list[tuple[Tensor, Tensor]] = []
            for batch in self.loader:
                ahead.append(batch)
                if len(ahead) > 2:
                    yield ahead.pop(0)
            yield from ahead
            self.after_epoch()


class ShiftedByTheEpoch(TinyTraining):
    """Cosines times 30: CE jumps about so much from batch to batch that no epoch's beginning stands out."""

    steps = 75

    def make_dataset(self) -> Dataset[tuple[Tensor, int]]:
        return Clothes(self.identities, images=16)

    def after_building(self) -> None:
        self.epoch = 0
        nn.init.normal_(self.model.classifier.weight)

    def after_epoch(self) -> None:
        self.epoch += 1

    def number(self, labels: Tensor) -> Tensor:
        return (labels + 7 * self.epoch) % self.identities

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = F.normalize(self.model.neck(self.model.base(images)))
        return F.cross_entropy(30 * F.linear(feature, F.normalize(self.model.classifier.weight)), self.number(labels))


class Cosines(ShiftedByTheEpoch):
    def number(self, labels: Tensor) -> Tensor:
        return labels


class RestartsEachEpoch(TinyTraining):
    """A cosine that begins anew with each epoch, where CE goes up for some steps."""

    def make_scheduler(self) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(self.optimizer, T_0=len(self.loader))


class SetsInTurn(TinyTraining):
    """Two data sets, an epoch of each in turn: of the one the head has forgotten much while it saw the other."""

    def make_loader(self) -> "SomePeople":
        return SomePeople(lambda epoch: range(12) if epoch % 2 else range(12, 24))


class OthersEachEpoch(TinyTraining):
    """Each epoch brings people of its own, whom the head knows nothing of yet."""

    def make_loader(self) -> "SomePeople":
        return SomePeople(lambda epoch: range(epoch % 6 * 4, epoch % 6 * 4 + 4))


class SomePeople:
    """A loader whose epochs, from the first on, draw from these people only."""

    def __init__(self, people: Callable[[int], range]) -> None:
        self.crops, self.people, self.epoch = Crops(), people, 0

    def __len__(self) -> int:
        return 10

    def __iter__(self) -> Iterator[list[Tensor]]:
        self.epoch += 1
        people = self.people(self.epoch)
        images = [i for i, label in enumerate(self.crops.labels.tolist()) if label in people]
        draws = [[images[k] for k in torch.randint(len(images), (16,))] for _ in range(len(self))]
        return iter(DataLoader(self.crops, batch_sampler=draws))


SICK = [NumberedAnew, TwoBatchesAhead, ShiftedByTheEpoch]
HEALTHY = [Cosines, RestartsEachEpoch, SetsInTurn, OthersEachEpoch]
