from math import exp, log

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import GraphFacts

SQUASHING = ("Softmax", "Sigmoid")
MENDING = ("Log", "Mul", "Div")  # a log undoes a softmax, a factor widens again what was squashed


@check(
    "RS205", slug="softmax-before-ce", severity="fatal", needs=[GraphFacts],
    explains=["RS202", "RS203", "RS207", "RS401", "RS502"],
)  # fmt: skip
def softmax_before_ce(graphs: list[GraphFacts]) -> Finding | None:
    """Cross-entropy is given probabilities instead of logits.

    What it means:
        The model ends in a softmax or a sigmoid, and the loss applies its own softmax to what comes out.

    Why it stops learning:
        All inputs of the loss then lie between 0 and 1. Even a perfect answer costs log(1 + (C - 1) / e), a nat less
        than chance, and the gradient through the softmax of many classes is C times too small. A log-softmax before the
        loss is harmless: the second changes nothing.

    Mend:
        Hand the logits to the loss, and take the softmax where probabilities are wanted, after training:

            loss = F.cross_entropy(model.classifier(feature), labels)   # not: softmax(...)

    Seen in:
        cluster-contrast and MMT style models return probabilities; one of the oldest questions on PyTorch's forum.
    """
    last = graphs[-1]
    above: tuple[str, ...] = ()
    for name in last.logit_path:
        if name in SQUASHING and not any(a in MENDING for a in above):
            floor = log(1 + (last.num_classes - 1) * exp(-1))
            return Finding(
                f"between {last.head or 'the head'} and the loss's own softmax stands a {name.lower()}: CE cannot fall "
                f"below {floor:.2f} (chance is {log(last.num_classes):.2f})",
                step=last.step,
            )
        above = (*above, name)
    return None
