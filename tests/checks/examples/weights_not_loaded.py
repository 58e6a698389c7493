import io

import torch

from reid_smoke.facts import AnyFact, WeightsFacts
from tests.checks.tiny import TinyTraining


class AnotherPrefix(TinyTraining):
    def known_beforehand(self) -> list[AnyFact]:
        return [WeightsFacts(path="resnet50.pth", matched=0, missing=318, unexpected=320, wrong_shape=0)]


class HalfOfIt(TinyTraining):
    def known_beforehand(self) -> list[AnyFact]:
        return [WeightsFacts(path="resnet50.pth", matched=160, missing=158, unexpected=0, wrong_shape=0)]


class AllButTheHead(TinyTraining):
    def known_beforehand(self) -> list[AnyFact]:
        return [WeightsFacts(path="resnet50.pth", matched=318, missing=6, unexpected=2, wrong_shape=0)]


class ScriptsOwnPrefix(TinyTraining):
    """`module.` before all keys, strict=False: nothing arrives, and nobody says so; CE bears it here: a warning."""

    prefix = "module."

    def train(self) -> None:
        trained = {self.prefix + name: torch.clone(value) for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(trained, strict=False)
        super().train()


class ScriptsOwnWithAnotherHead(ScriptsOwnPrefix):
    """An old head among the keys is left out, and the rest arrives."""

    prefix = ""

    def train(self) -> None:
        trained = dict(self.model.state_dict(), **{"fc.weight": torch.zeros(1000, 512)})
        self.model.load_state_dict(trained, strict=False)
        TinyTraining.train(self)


class WhatFits(TinyTraining):
    """`own.update(what fits)`, as many code bases have it; with the prefix nothing fits, and the load is strict."""

    prefix = "module."

    def after_building(self) -> None:
        file = io.BytesIO()
        trained = {self.prefix + name: value * 1.01 for name, value in self.make_model().state_dict().items()}
        torch.save(trained, file)
        file.seek(0)
        self.file = file

    def train(self) -> None:
        read = torch.load(self.file, weights_only=True)
        own = self.model.state_dict()
        own.update({name: value for name, value in read.items() if name in own and "classifier" not in name})
        self.model.load_state_dict(own)
        super().train()


class AllFitsButTheHead(WhatFits):
    prefix = ""


class FittedAtTheSecondTry(WhatFits):
    """With one prefix and then with the other."""

    def train(self) -> None:
        read = torch.load(self.file, weights_only=True)
        for prefix in ("", "module."):
            own = self.model.state_dict()
            own.update({n.removeprefix(prefix): v for n, v in read.items() if n.removeprefix(prefix) in own})
            self.model.load_state_dict(own)
        TinyTraining.train(self)


class CopiedIntoItsOwn(WhatFits):
    """The tensors of the state dict are the model's: what is copied into them has arrived before the load."""

    def train(self) -> None:
        read = torch.load(self.file, weights_only=True)
        own = self.model.state_dict()
        for name, value in own.items():
            if value.dim() > 1:
                value.copy_(trained_like(read[self.prefix + name]))
        self.model.load_state_dict(own)
        TinyTraining.train(self)


class ItsOwnWithoutAFile(TinyTraining):
    """Back to where it started, as each fold of a cross-validation begins."""

    def train(self) -> None:
        self.model.load_state_dict(self.model.state_dict())
        super().train()


def trained_like(weight: torch.Tensor) -> torch.Tensor:
    """Longer tails than any initialisation has."""
    return weight * (1 + 8 * torch.rand_like(weight) ** 8)


SICK = [AnotherPrefix, HalfOfIt, ScriptsOwnPrefix, WhatFits]
HEALTHY = [
    AllButTheHead, ScriptsOwnWithAnotherHead, AllFitsButTheHead, FittedAtTheSecondTry, CopiedIntoItsOwn,
    ItsOwnWithoutAFile,
]  # fmt: skip
