"""Every door that is wrapped takes what torch's own takes: arguments by place and by name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad

from tests.checks.tiny import TinyTraining, run_tiny


class ByName(TinyTraining):
    """Whatever torch lets one name is named."""

    steps, window = 12, (4, 12)
    limit = 0.5

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(images, labels)
        torch.autograd.grad(outputs=loss, inputs=self.head_parameters(), retain_graph=True)
        torch.autograd.backward(tensors=loss)
        self.clip()
        self.optimizer.step(closure=None)

    def clip(self) -> None:
        torch.nn.utils.clip_grad_norm_(parameters=self.model.parameters(), max_norm=self.limit, norm_type=2.0)


class TheLimitByName(ByName):
    def clip(self) -> None:
        clip_grad.clip_grad_norm_(self.model.parameters(), max_norm=self.limit)


class ValuesByName(ByName):
    def clip(self) -> None:
        torch.nn.utils.clip_grad_value_(self.model.parameters(), clip_value=self.limit)


@pytest.mark.parametrize("training", [ByName, TheLimitByName, ValuesByName])
def test_arguments_may_be_named(training: type[ByName]) -> None:
    ledger, _ = run_tiny(training())
    assert ledger.steps[-1].step == ByName.steps
    assert ledger.steps[-1].clip_at == ByName.limit


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.nn.utils.clip_grad_norm_([nn.Parameter(torch.ones(1))]),
        lambda: torch.autograd.backward(),
        lambda: torch.nn.utils.clip_grad_value_(clip_value=1.0, parameter=[]),
    ],
)
def test_a_wrong_call_fails_as_torchs_own_does(call: Callable[[], object]) -> None:
    class Wrong(TinyTraining):
        def clip(self) -> None:
            with pytest.raises(TypeError) as under_watch:
                call()
            self.said = str(under_watch.value)

    training = Wrong()
    run_tiny(training)
    with pytest.raises(TypeError) as alone:
        call()
    assert training.said == str(alone.value)
