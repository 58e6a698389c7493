"""RS212 speaks of logits and of probabilities; the log of something is neither."""

from reid_smoke.checks.loss_and_logits.nll_without_log_softmax import nll_without_log_softmax
from reid_smoke.facts import OddLossFacts


def odd(*fed_by: str) -> list[OddLossFacts]:
    return [OddLossFacts(step=0, loss="nll_loss", fed_by=fed_by)]


def test_the_log_of_something_is_no_logits() -> None:
    assert nll_without_log_softmax.judge(odd("Log", "Add", "Div"), []) is None


def test_a_product_is() -> None:
    assert nll_without_log_softmax.judge(odd("Addmm"), []) is not None


def test_a_log_softmax_in_other_places_is_one() -> None:
    """As of logits that stand column by column: `logits.t().log_softmax(0).t()`."""
    assert nll_without_log_softmax.judge(odd("T", "LogSoftmax", "T", "Addmm"), []) is None
    assert nll_without_log_softmax.judge(odd("T", "Addmm"), []) is not None
