from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import GraphFacts, LoopFacts
from reid_smoke.rule import Curve

HEADS = 3  # a second one may come with a second stage


@check(
    "RS413", slug="model-made-anew", severity="fail", needs=[LoopFacts, GraphFacts], uses=[Curve],
    explains=["RS202", "RS203", "RS204", "RS302", "RS401", "RS404", "RS405", "RS415"],
)  # fmt: skip
def model_made_anew(counts: list[LoopFacts], graphs: list[GraphFacts], curve: Curve) -> Finding | None:
    """The model, or its head, is made anew within the loop.

    What it means:
        The loss went through several heads of the same name and shape, one after the other, and none of them begins
        where one before had come to. (Copies of one model that are averaged after each round do, and heads that take
        turns come back: they do not count.)

    Why it stops learning:
        What the one before had learnt is gone, and an optimizer that was built for it steps weights that nobody uses.
        CE falls and jumps back.

    Mend:
        Build model and optimizer once, before the loop over the epochs. A head that is replaced when classes are added
        keeps the rows that it has:

            new.weight.data[: old.out_features] = old.weight.data

    Seen in:
        `model = build_model(...)` indented into the epoch loop; a classifier that is built anew after each clustering
        (unsupervised ReID) and goes with an optimizer of before.
    """
    anew = counts[-1].heads - counts[-1].heads_carried_on
    if anew < HEADS:
        return None
    return Finding(
        f"{anew} different heads of the name {graphs[-1].head} and of one shape went through the loss in "
        f"{counts[-1].step} steps",
        step=counts[-1].step,
        severity=grave_if_ce_fails(curve),
    )
