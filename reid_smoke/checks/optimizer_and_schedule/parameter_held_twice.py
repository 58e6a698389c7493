from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import listed
from reid_smoke.facts import SharedFacts, StepFacts
from reid_smoke.rule import Curve


@check(
    "RS411", slug="parameter-held-twice", severity="fail", needs=[StepFacts],
    uses=[SharedFacts, Curve], explains=["RS202", "RS203", "RS204", "RS403"],
)  # fmt: skip
def parameter_held_twice(steps: list[StepFacts], shared: list[SharedFacts], curve: Curve) -> Finding | None:
    """Parameters are held twice, and stepped twice for every gradient.

    What it means:
        The same parameters are in two optimizers, both of which step after one backward; or they stand twice in one
        optimizer, in two groups or in one list that was put together from two.

    Why it stops learning:
        Each step is taken twice, at two learning rates, with two momenta that know nothing of each other, and weight
        decay takes its share twice. A training may bear it; then this is a warning.

    Mend:
        Give each parameter to one group of one optimizer:

            head = {id(p) for p in model.classifier.parameters()}
            rest = [p for p in model.parameters() if id(p) not in head]

    Seen in:
        A second optimizer, for the centre loss, that is handed `model.parameters()` as well; a list
        `[*model.parameters(), *model.classifier.parameters()]`, of which torch warns and which it steps all the same.
    """
    if not shared:
        return None
    last = shared[-1]
    places = zip(last.by, last.lrs, strict=True)
    who = " and ".join(f"{kind} at lr {lr:.3g}" if lr is not None else kind for kind, lr in places)
    return Finding(
        f"{last.count} parameters are stepped from {len(last.by)} places after one backward: "
        f"{listed(last.names, 2)}, by {who}",
        step=last.step,
        severity=grave_if_ce_fails(curve),
    )
