import copy

import torch
from torch import Tensor, nn

from tests.checks.tiny import TinyTraining


class BuiltInEachEpoch(TinyTraining):
    lr_head = 1e-3

    def after_epoch(self) -> None:
        self.model = self.make_model()
        self.optimizer = self.make_optimizer()


class SecondStage(TinyTraining):
    """A new model for the second stage, and the optimizer with it."""

    def after_epoch(self) -> None:
        if not hasattr(self, "second"):
            self.second = self.model = self.make_model()
            self.optimizer = self.make_optimizer()


class Rounds(TinyTraining):
    """Federated: each client trains a copy of the server's model, and the server takes their mean."""

    clients, updates = 4, 12
    steps = 2 * clients * updates
    window = (60, 96)

    def after_building(self) -> None:
        self.server, self.round = copy.deepcopy(self.model), list[nn.Module]()
        self.optimizer = self.make_optimizer()

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        if (self.step_number - 1) % self.updates == 0:
            self.next_client()
        super().train_step(images, labels)

    def next_client(self) -> None:
        if len(self.round) == self.clients:
            states = [client.state_dict() for client in self.round]
            self.server.load_state_dict({k: sum(s[k] for s in states) / len(states) for k in states[0]})
            self.round = []
        self.model = copy.deepcopy(self.server)
        self.optimizer = torch.optim.Adam(self.model.parameters(), 1e-3)
        self.round.append(self.model)


class ClientsInTurn(TinyTraining):
    """Federated: each client has people of its own, and so a head, which waits for its next turn."""

    clients, updates = 3, 12
    steps = 3 * clients * updates
    window = (30, 50)
    lr_backbone = 1e-3

    def after_building(self) -> None:
        heads = [nn.Linear(512, self.identities, bias=False) for _ in range(self.clients)]
        self.heads = [(head, torch.optim.SGD(head.parameters(), 0.3)) for head in heads]

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        head, self.own = self.heads[(self.step_number - 1) // self.updates % self.clients]
        self.own.zero_grad()
        return nn.functional.cross_entropy(head(self.model.neck(self.model.base(images))), labels)

    def clip(self) -> None:
        self.own.step()


SICK = [BuiltInEachEpoch]
HEALTHY = [SecondStage, Rounds, ClientsInTurn]
