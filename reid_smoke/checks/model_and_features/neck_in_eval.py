from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import GraphFacts, ParameterFacts
from reid_smoke.rule import Curve


@check(
    "RS506", slug="neck-in-eval", severity="fail", needs=[GraphFacts, ParameterFacts],
    uses=[Curve], explains=["RS201", "RS202", "RS203", "RS204", "RS207", "RS210", "RS401", "RS403", "RS417", "RS502"],
)  # fmt: skip
def neck_in_eval(graphs: list[GraphFacts], parameters: list[ParameterFacts], curve: Curve) -> Finding | None:
    """The BNNeck is in eval mode while it is trained.

    What it means:
        The batch norm before the classifier uses its running statistics, which eval mode never updates, although its
        weight is trainable. Those of a new neck are mean 0 and variance 1.

    Why it stops learning:
        Then it normalises nothing: channels stay positive and of very different sizes, and the classifier sees the raw
        feature. Where the neck was pretrained a training may bear it; then this is a warning.

    Mend:
        Put the modules that are to stay fixed in eval mode one by one, after `model.train()`:

            model.train()
            model.backbone.eval()

    Seen in:
        layumi #218 (BN in train and eval); functions that set every batch norm to eval, the neck's too.
    """
    last = graphs[-1]
    trainable = any(p.role == "neck" and p.requires_grad for p in parameters[-1].parameters)
    if not last.neck_feeds_head or last.neck_training is not False or not trainable:
        return None
    return Finding(
        f"{last.neck} feeds {last.head}, and normalises by its running statistics",
        step=last.step,
        severity=grave_if_ce_fails(curve),
    )
