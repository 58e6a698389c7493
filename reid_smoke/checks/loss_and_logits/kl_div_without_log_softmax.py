from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import GraphFacts, OddLossFacts
from reid_smoke.rule import Curve


@check(
    "RS218", slug="kl-div-without-log-softmax", severity="fail", uses=[GraphFacts, OddLossFacts, Curve],
    explains=["RS201", "RS202", "RS203", "RS204", "RS217", "RS311", "RS401", "RS403"],
)  # fmt: skip
def kl_div_without_log_softmax(graphs: list[GraphFacts], odd: list[OddLossFacts], curve: Curve) -> Finding | None:
    """kl_div is given logits or probabilities, not log-probabilities.

    What it means:
        `F.kl_div(input, target)` takes the log of neither: its input is to be log-probabilities, its target
        probabilities.

    Why it stops learning:
        From logits it is a sum that is linear in them: it falls without end as the logits grow, far below 0, where a
        divergence never is, and pulls CE along. From probabilities its gradient is next to nothing. Beside a CE that is
        strong enough the training may bear it; then this is a warning.

    Mend:
        Take the log-softmax of the student's logits:

            loss = F.kl_div(F.log_softmax(student / T, 1), F.softmax(teacher / T, 1), reduction="batchmean") * T * T

    Seen in:
        One of the oldest questions on PyTorch's forum: why `KLDivLoss` is negative.
    """
    fed_by = next((g.kl_div_of for g in graphs if g.kl_div_of), ())
    if fed_by:
        found, severity = graphs[-1].step, grave_if_ce_fails(curve)
    elif odd and odd[-1].loss == "kl_div":  # nothing else was there to learn from
        fed_by, found, severity = odd[-1].fed_by, odd[-1].step, "fatal"
    else:
        return None
    return Finding(f"kl_div is fed by {' <- '.join(fed_by)}", step=found, severity=severity)
