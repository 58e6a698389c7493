from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import GraphFacts
from reid_smoke.rule import Curve


@check(
    "RS303", slug="head-frozen", severity="fail", needs=[GraphFacts], uses=[Curve],
    explains=["RS202", "RS203", "RS401", "RS302"],
)  # fmt: skip
def head_frozen(graphs: list[GraphFacts], curve: Curve) -> Finding | None:
    """The classifier's weight is frozen.

    What it means:
        Its `requires_grad` is False, so it stays as it was initialised.

    Why it stops learning:
        A random head that never moves asks the backbone to do all the work, at a learning rate meant for fine-tuning.

    Mend:
        Freeze the backbone by name, never by "everything", and unfreeze the head afterwards:

            for name, parameter in model.named_parameters():
                parameter.requires_grad = not name.startswith("backbone.")

    Seen in:
        A freeze pattern that was written for another model's names and catches the new head.
    """
    last = graphs[-1]
    if last.head is None or last.head_trainable:
        return None
    trained = any(graph.head == last.head and graph.head_trainable for graph in graphs)
    if trained and grave_if_ce_fails(curve) == "warn":
        return None  # frozen after it had learnt, and that may be meant
    return Finding(f"{last.head} makes the {last.num_classes} logits and has requires_grad=False", step=last.step)
