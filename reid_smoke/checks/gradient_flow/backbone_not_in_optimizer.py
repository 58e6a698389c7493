from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import figures, listed, updates
from reid_smoke.facts import FrozenFacts, ParameterFacts, StepFacts
from reid_smoke.rule import Curve

STOOD = 30  # updates of the head, after which a second optimizer has had its turn


@check(
    "RS315", slug="backbone-not-in-optimizer", severity="fail", needs=[ParameterFacts],
    uses=[FrozenFacts, Curve, StepFacts],
    explains=["RS202", "RS203", "RS204", "RS401", "RS403"],
)  # fmt: skip
def backbone_not_in_optimizer(
    parameters: list[ParameterFacts], frozen: list[FrozenFacts], curve: Curve, steps: list[StepFacts]
) -> Finding | None:
    """The backbone gets gradients, and no optimizer steps it.

    What it means:
        The loss reaches the backbone's weights and they ask for gradients, but the optimizer holds the head, and hardly
        anything before it; or there are two optimizers, and the backbone's is never stepped. Where their values look as
        an initialisation drew them, that is certainly a mistake. Where they come from a checkpoint, it may be meant, as
        in linear probing: then it is a warning while CE falls.

    Why it stops learning:
        Only the head learns, on features that never change. Of a random backbone they tell little.

    Mend:
        Hand all parameters to the optimizer, with groups of their own where the rates differ:

            optimizer = torch.optim.AdamW([
                {"params": head.parameters(), "lr": 1e-2},
                {"params": backbone.parameters(), "lr": 1e-5},
            ])

        With an optimizer for each, step each:

            for optimizer in (optimizer_backbone, optimizer_head):
                optimizer.step()

        If the backbone is meant to stand still, say so, which saves its backward as well:

            backbone.requires_grad_(False)

    Seen in:
        Groups picked by name, with a pattern that a wrapper's prefix (`module.`, `_orig_mod.`) makes fail; loops in
        which `model` and `head` have an optimizer each, of which one is never built.
    """
    last = parameters[-1]
    weights = [
        p for p in last.parameters if p.role == "backbone" and p.requires_grad and p.reached and len(p.shape) >= 2
    ]
    left = [p.name for p in weights if p.group is None]
    no_head = last.optimizer_holds_head is None and bool(last.optimizer)  # a memory of centroids is no parameter
    if not (last.optimizer_holds_head or no_head):
        return None
    known = frozen[-1] if frozen else None
    drawn = known is not None and known.unheld_fresh > known.unheld / 2
    looks = f"; {known.unheld_fresh} of {known.unheld} look as they were drawn" if known and known.unheld else ""
    severity = "fail" if drawn else grave_if_ce_fails(curve)
    if 2 * len(left) > len(weights):
        return Finding(
            f"{len(left)} of {len(weights)} weights of the backbone that get a gradient are in none of the groups of "
            f"{last.optimizer} ({listed(left)}){looks}",
            step=last.step,
            severity=severity,
        )
    stood = _updates_without_it(steps)
    if not weights or stood < STOOD:
        return None
    return Finding(
        f"of the optimizers ({last.optimizer}) none that stepped in {stood} updates of the head holds the backbone, "
        f"and its weights are exactly what they were ({listed([p.name for p in weights])}){looks}",
        step=steps[-1].step,
        severity=severity,
    )


def _updates_without_it(steps: list[StepFacts]) -> int:
    """Of the head; 0 where the backbone was ever stepped, or moved."""
    done = [s for s in updates(steps) if s.head_steps]
    if any(s.lr_backbone is not None for s in steps) or any(figures(steps, "backbone_update")):
        return 0
    return len(figures(done, "backbone_update"))
