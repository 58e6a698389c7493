from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import listed
from reid_smoke.facts import GraphFacts, ParameterFacts


@check(
    "RS305", slug="loss-does-not-reach-backbone", severity="fatal", needs=[GraphFacts, ParameterFacts],
    explains=["RS202", "RS203"], lies_in="model",
)  # fmt: skip
def loss_does_not_reach_backbone(graphs: list[GraphFacts], parameters: list[ParameterFacts]) -> Finding | None:
    """The loss has no path to the backbone, although it is trainable.

    What it means:
        The graph behind the loss ends before the backbone: its feature was detached, or made under `no_grad`. Its
        parameters ask for gradients and never get one. (A backbone frozen with `requires_grad=False` is intent, and
        fine.)

    Why it stops learning:
        Only the head learns. CE may still fall, on features that never change, and looks just like a frozen backbone.

    Mend:
        Take away the `.detach()` or `torch.no_grad()` around the backbone. If it is meant to be frozen, say so:

            backbone.requires_grad_(False)

    Seen in:
        Feature extraction code turned into training code; a stop-gradient meant for another branch.
    """
    last = graphs[-1]
    if not last.backbone_trainable or last.backbone_reached:
        return None
    names = [p.name for p in parameters[-1].parameters if p.role == "backbone" and p.requires_grad and not p.reached]
    path = " <- ".join(last.feature_path) or "nothing: the classifier's input has no gradient history"
    return Finding(
        f"the loss reaches 0 of {last.backbone_trainable} trainable backbone parameters ({listed(names)}); "
        f"behind the classifier's input: {path}",
        step=last.step,
    )
