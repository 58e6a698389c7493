"""RS212 speaks of logits and of probabilities; the log of something is neither."""

import torch
from torch.nn import functional as F

from reid_smoke.checks.loss_and_logits.nll_without_log_softmax import nll_without_log_softmax
from reid_smoke.facts import OddLossFacts
from reid_smoke.probes.nodes import Node
from reid_smoke.probes.raw_log import takes_log_of_outputs


def odd(*fed_by: str) -> list[OddLossFacts]:
    return [OddLossFacts(step=0, loss="nll_loss", fed_by=fed_by)]


def test_the_log_of_something_is_no_logits() -> None:
    assert nll_without_log_softmax.judge(odd("Log", "Add", "Div"), []) is None


def test_a_product_is() -> None:
    assert nll_without_log_softmax.judge(odd("Addmm"), []) is not None


def test_the_log_of_a_layers_outputs_is_of_no_probabilities() -> None:
    logits = torch.nn.Linear(4, 3)(torch.randn(8, 4))
    assert takes_log_of_outputs(loss_of((logits + 1e-8).log()))


def test_the_log_of_probabilities_that_a_matrix_moved_is_none_of_it() -> None:
    """As labels that are wrong by a known chance are corrected for."""
    probabilities = torch.nn.Linear(4, 3)(torch.randn(8, 4)).softmax(1)
    wrong_by_chance = (0.8 * torch.eye(3) + 0.2 / 3).requires_grad_()
    assert not takes_log_of_outputs(loss_of((probabilities @ wrong_by_chance).log()))


def loss_of(log_probs: torch.Tensor) -> Node:
    return F.nll_loss(log_probs, torch.zeros(8, dtype=torch.int64)).grad_fn


def test_a_log_softmax_in_other_places_is_one() -> None:
    """As of logits that stand column by column: `logits.t().log_softmax(0).t()`."""
    assert nll_without_log_softmax.judge(odd("T", "LogSoftmax", "T", "Addmm"), []) is None
    assert nll_without_log_softmax.judge(odd("T", "Addmm"), []) is not None
