from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import GraphFacts, ParameterFacts


@check(
    "RS302", slug="head-not-in-optimizer", severity="fatal", needs=[ParameterFacts, GraphFacts],
    explains=["RS202", "RS203", "RS309"],
)  # fmt: skip
def head_not_in_optimizer(parameters: list[ParameterFacts], graphs: list[GraphFacts]) -> Finding | None:
    """The classifier's weight is in no optimizer.

    What it means:
        The loss reaches the head and gives it a gradient, but no parameter group of any optimizer holds it.

    Why it stops learning:
        The head stays as it was initialised. With weights of 0.001 all logits stay near 0, and CE near log C.

    Mend:
        Hand the head's parameters to the optimizer; where it lives outside of the model (in the loss, in a module of
        its own), add it by hand:

            optimizer = torch.optim.AdamW([
                {"params": head.parameters(), "lr": 1e-2},
                {"params": backbone.parameters(), "lr": 1e-5},
            ])

        With groups by name, assert that every trainable parameter landed in one.

    Seen in:
        pytorch-center-loss #22; pytorch-adacos #10; InsightFace_Pytorch #71; layumi's train.py (margin weights).
    """
    last = parameters[-1]
    head = graphs[-1].head
    if last.optimizer_holds_head is not False or not graphs[-1].head_trainable:
        return None
    record = next((p for p in last.parameters if p.name == head), None)
    shape = " x ".join(map(str, record.shape)) if record else "?"
    held = sum(p.group is not None for p in last.parameters)
    return Finding(
        f"{head} ({shape}) gets a gradient, but is in none of the groups of {last.optimizer}, "
        f"which hold {held} of {len(last.parameters)} parameters",
        step=last.step,
    )
