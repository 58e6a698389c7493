from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import LoopFacts

STEPS = 3


@check("RS301", slug="no-backward", severity="fatal", needs=[LoopFacts], explains=["RS202"])
def no_backward(counts: list[LoopFacts]) -> Finding | None:
    """The optimizer steps, but backward is never called.

    What it means:
        `optimizer.step()` runs over parameters that have no gradient.

    Why it stops learning:
        Without backward there is no gradient, and an optimizer passes over parameters without one.

    Mend:
        Call backward between the loss and the step:

            loss = criterion(logits, labels)
            loss.backward()
            optimizer.step()

    Seen in:
        pytorch #47175 and many a forum thread: "everything prints fine, but the loss does not descend".
    """
    last = counts[-1]
    if last.backwards or last.other_backwards or last.leaf_backwards or last.optimizer_steps < STEPS:
        return None
    return Finding(f"{last.optimizer_steps} optimizer steps and not one backward", last.step)
