from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import listed
from reid_smoke.facts import FrozenFacts, ParameterFacts
from reid_smoke.rule import Curve


@check(
    "RS315", slug="backbone-not-in-optimizer", severity="fail", needs=[ParameterFacts], uses=[FrozenFacts, Curve],
    explains=["RS202", "RS203", "RS204", "RS401", "RS403"],
)  # fmt: skip
def backbone_not_in_optimizer(
    parameters: list[ParameterFacts], frozen: list[FrozenFacts], curve: Curve
) -> Finding | None:
    """The backbone gets gradients, and is in no optimizer.

    What it means:
        The loss reaches the backbone's weights and they ask for gradients, but the optimizer holds the head, and hardly
        anything before it. Where their values look as an initialisation drew them, that is certainly a mistake. Where
        they come from a checkpoint, it may be meant, as in linear probing: then it is a warning while CE falls.

    Why it stops learning:
        Only the head learns, on features that never change. Of a random backbone they tell little.

    Mend:
        Hand all parameters to the optimizer, with groups of their own where the rates differ:

            optimizer = torch.optim.AdamW([
                {"params": head.parameters(), "lr": 1e-2},
                {"params": backbone.parameters(), "lr": 1e-5},
            ])

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
    if not (last.optimizer_holds_head or no_head) or 2 * len(left) <= len(weights):
        return None
    known = frozen[-1] if frozen else None
    drawn = known is not None and known.unheld_fresh > known.unheld / 2
    looks = f"; {known.unheld_fresh} of {known.unheld} look as they were drawn" if known is not None else ""
    return Finding(
        f"{len(left)} of {len(weights)} weights of the backbone that get a gradient are in none of the groups of "
        f"{last.optimizer} ({listed(left)}){looks}",
        step=last.step,
        severity="fail" if drawn else grave_if_ce_fails(curve),
    )
