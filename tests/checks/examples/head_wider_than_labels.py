import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from reid_smoke.facts import AnyFact, DatasetFacts
from tests.checks.memory_bank import Embedding, MemoryBank
from tests.checks.tiny import Crops, Model, TinyTraining


class CountedTheQuerySetIn(TinyTraining):
    def make_model(self) -> Model:
        return Model(2 * self.identities)


class LongBeforeTheEpochIsOver(TinyTraining):
    """Many images of few people, in one epoch of 200 steps; the head was made for four times as many."""

    identities = 48
    steps, window = 110, (60, 100)

    def make_loader(self) -> DataLoader:
        return DataLoader(Crops(self.identities, images=70), self.batch_size, shuffle=True, drop_last=True)

    def make_model(self) -> Model:
        return Model(4 * self.identities)


class SeenByTheScan(TinyTraining):
    """What is known before the first step: no label has to come up for it."""

    def make_model(self) -> Model:
        return Model(2 * self.identities)

    def known_beforehand(self) -> list[AnyFact]:
        return [
            DatasetFacts(
                source="train", images=192, identities=24, cameras=1, num_classes=48, label_min=0, label_max=23,
                labels_out_of_range=0, images_per_identity=(8, 8, 8),
            )
        ]  # fmt: skip


class PersonByPerson(TinyTraining):
    """An epoch in which one identity after the other comes: the last ones do late, and they do."""

    identities = 96
    steps, window = 110, (60, 100)

    def make_loader(self) -> DataLoader:
        crops = Crops(self.identities, images=40)
        pairs = [[40 * p + k for p in range(q, q + 8) for k in (2 * r, 2 * r + 1)] for q in range(89) for r in range(2)]
        return DataLoader(crops, batch_sampler=pairs)


class AgainstAQueue(MemoryBank):
    """Each image is compared with its batch and with a queue of others, all of whom may be of its identity (ALBEF)."""

    steps, window = 210, (150, 200)

    def after_building(self) -> None:
        self.queue, self.owners = F.normalize(torch.randn(480, 512)), torch.full((480,), -1)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        features = self.model(images)
        others = torch.cat([features.detach(), self.queue])
        owners = torch.cat([labels, self.owners])
        same = (labels[:, None] == owners[None]).float()
        self.queue, self.owners = others[:480], owners[:480]
        return -(same / same.sum(1, keepdim=True) * F.log_softmax(features @ others.T / 0.1, 1)).sum(1).mean()


class BesideTheUnlabelled(MemoryBank):
    """OIM: a memory of those who have a label, and behind it a queue of those who have none and are never right."""

    lr_backbone = 1e-3

    def make_model(self) -> nn.Module:
        self.memory = F.normalize(torch.randn(3 * self.identities, 512))
        return Embedding()


class WidenedForNewPeople(TinyTraining):
    """Lifelong: after an epoch the head gets rows for a second set, of which all images are from then on."""

    identities = 24
    steps, window = 100, (80, 100)

    def after_epoch(self) -> None:
        if self.model.classifier.out_features == self.identities:
            old = self.model.classifier
            self.model.classifier = nn.Linear(512, 2 * self.identities, bias=False)
            nn.init.normal_(self.model.classifier.weight, std=0.001)
            self.model.classifier.weight.data[: self.identities] = old.weight.data
            self.optimizer = self.make_optimizer()

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score = self.model(images)[0]
        return F.cross_entropy(score, labels + score.shape[1] - self.identities)


SICK = [CountedTheQuerySetIn, LongBeforeTheEpochIsOver, SeenByTheScan]
HEALTHY = [TinyTraining, PersonByPerson, AgainstAQueue, BesideTheUnlabelled, WidenedForNewPeople]
