from itertools import takewhile

from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import NORMALISES, POOLS, is_any
from reid_smoke.facts import GraphFacts
from reid_smoke.rule import Curve

NOT_NEGATIVE = ("Relu", "Softplus")


@check(
    "RS206", slug="relu-on-logits", severity="fail", needs=[GraphFacts], uses=[Curve],
    explains=["RS202", "RS203", "RS311", "RS401"],
)  # fmt: skip
def relu_on_logits(graphs: list[GraphFacts], curve: Curve) -> Finding | None:
    """The logits pass through a ReLU.

    What it means:
        An activation that is never negative stands between the classifier and the loss.

    Why it stops learning:
        A wrong identity can only be pushed down to 0, and what lies at 0 gets no gradient any more, whether it is the
        wrong one or the right one. Often CE still falls, only higher than it could; then this is a warning.

    Mend:
        End the head with its linear layer:

            self.classifier = nn.Linear(width, num_classes, bias=False)   # nothing after it

    Seen in:
        Heads built in a loop, `[nn.Linear(...), nn.ReLU()] * n`, which puts an activation after the last layer, too.
    """
    last = graphs[-1]
    if not are_never_negative(last):
        return None
    return Finding(
        f"between {last.head or 'the head'} and the loss: {' <- '.join(last.logit_path)}",
        step=last.step,
        severity=grave_if_ce_fails(curve),
    )


def are_never_negative(last: GraphFacts) -> bool:
    """Whether such an activation stands between the classifier and the loss."""
    # What lies behind a norm or a pooling is inside the classifier, or in the feature.
    after = takewhile(lambda name: not is_any([name], NORMALISES + POOLS), last.logit_path)
    return any(name in NOT_NEGATIVE for name in after)
