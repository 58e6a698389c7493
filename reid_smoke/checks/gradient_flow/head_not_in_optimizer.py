from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import SEEN, is_stepped_by_others, listed, updates
from reid_smoke.facts import CrashFacts, GraphFacts, HeadsFacts, ParameterFacts, StepFacts
from reid_smoke.rule import Curve

STOOD = 30  # steps, after which a head that is trained later than the rest has had its turn
MOVES = 1e-5  # of itself, that a backbone which is stepped comes from its start within these


@check(
    "RS302", slug="head-not-in-optimizer", severity="fatal", needs=[ParameterFacts, GraphFacts],
    uses=[Curve, StepFacts, CrashFacts, HeadsFacts],
    explains=["RS202", "RS203", "RS309"],
)  # fmt: skip
def head_not_in_optimizer(
    parameters: list[ParameterFacts],
    graphs: list[GraphFacts],
    curve: Curve,
    steps: list[StepFacts],
    crashes: list[CrashFacts],
    heads: list[HeadsFacts],
) -> Finding | None:
    """The classifier's weight is in no optimizer.

    What it means:
        The loss reaches the head and gives it a gradient, but no parameter group of any optimizer holds it, and it does
        not move, as it would if fp32 masters or a line of the loop stepped it.
        Of a model with several heads it may be the others, and not the one that is judged; where CE falls all the same,
        those over the same identities are warned of.

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
    if last.optimizer_holds_head:
        return _other_heads(last, graphs[-1], curve, steps, heads)
    if last.optimizer_holds_head is None and not last.optimizer and graphs[-1].head_trainable:
        return _left_out_unseen(head, last, curve, steps)
    if last.optimizer_holds_head is not False or not graphs[-1].head_trainable:
        return None
    if is_stepped_by_others(steps, crashes, parameters) is not False:
        return None
    record = next((p for p in last.parameters if p.name == head), None)
    shape = " x ".join(map(str, record.shape)) if record else "?"
    held = sum(p.group is not None for p in last.parameters)
    # A second phase whose optimizer has the rest of the model alone may be meant, where the head has learnt before.
    phase = held and any(p.optimizer_holds_head and _names(p, head) for p in parameters[:-1])
    since = ", though an optimizer had it before" if phase else ""
    return Finding(
        f"{head} ({shape}) gets a gradient, but is in none of the groups of {last.optimizer}, "
        f"which hold {held} of {len(last.parameters)} parameters{since}",
        step=last.step,
        severity=grave_if_ce_fails(curve) if phase else None,
    )


def _left_out_unseen(head: str | None, last: ParameterFacts, curve: Curve, steps: list[StepFacts]) -> Finding | None:
    """By a loop that steps by hand, or by an optimizer of another kind than torch's: whose groups are not known, and
    the weights tell what it steps."""
    record = next((p for p in last.parameters if p.name == head), None)
    if record is None or not record.reached or len(steps) < STOOD or any(s.applied or s.ce_weight == 0 for s in steps):
        return None
    now = steps[-1]
    if now.head_moved != 0 or not now.backbone_moved > MOVES:
        return None
    return Finding(
        f"{head} is reached by the loss and in {now.step} steps has not moved by a bit, while the backbone moved "
        f"{now.backbone_moved:.1e} of itself: whatever steps it, none of torch's optimizers, leaves the head out, or "
        f"has a learning rate of 0 for it",
        step=now.step,
        severity=grave_if_ce_fails(curve),
    )


def _names(facts: ParameterFacts, head: str | None) -> bool:
    return any(p.name == head and p.group is not None for p in facts.parameters)


def _other_heads(
    last: ParameterFacts, graph: GraphFacts, curve: Curve, steps: list[StepFacts], heads: list[HeadsFacts]
) -> Finding | None:
    records = {p.name: p for p in last.parameters}
    others = [records[name] for name in graph.other_heads if name in records]
    left = [p.name for p in others if p.requires_grad and p.reached and p.group is None]
    severity = grave_if_ce_fails(curve)
    if severity == "warn":  # a head beside, of other classes, may be there to turn gradients only
        left = [name for name in left if _stands_still(name, steps, heads)]
    if not left:
        return None
    return Finding(
        f"{listed(left)}: {len(left)} of {len(others) + 1} heads get a gradient, and are in none of the groups of "
        f"{last.optimizer}",
        step=last.step,
        severity=severity,
    )


def _stands_still(name: str, steps: list[StepFacts], heads: list[HeadsFacts]) -> bool:
    """A head of the identities that has not moved by the last look, after a few updates."""
    found = [(look.step, head.moved) for look in heads for head in look.heads if head.name == name]
    if not found or any(moved for _, moved in found):
        return False
    first, last = found[0][0], found[-1][0]
    return sum(first <= s.step < last for s in updates(steps)) >= SEEN
