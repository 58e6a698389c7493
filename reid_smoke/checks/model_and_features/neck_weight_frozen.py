from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import GraphFacts, ParameterFacts


@check("RS509", slug="neck-weight-frozen", severity="warn", needs=[ParameterFacts, GraphFacts])
def neck_weight_frozen(parameters: list[ParameterFacts], graphs: list[GraphFacts]) -> Finding | None:
    """The BNNeck's weight is frozen along with its bias.

    What it means:
        Of the neck only the bias is meant to be frozen, so that identities are told apart around the origin. Here its
        weight does not ask for a gradient either, while backbone and head do.

    Why it stops learning:
        It learns, but no channel can be made to count more than another before the classifier.

    Mend:
        Freeze the bias alone:

            self.bottleneck.bias.requires_grad_(False)   # not: self.bottleneck.requires_grad_(False)

    Seen in:
        Ports of reid-strong-baseline's `bottleneck.bias.requires_grad_(False)`, shortened.
    """
    last, graph = parameters[-1], graphs[-1]
    neck = [p for p in last.parameters if p.role == "neck"]
    if not neck or any(p.requires_grad for p in neck) or not graph.neck_feeds_head:
        return None
    # With a frozen backbone, or a frozen head, freezing is a plan.
    frozen = sum(not p.requires_grad for p in last.parameters if p.role == "backbone")
    if frozen or not graph.head_trainable:
        return None
    return Finding(
        f"{', '.join(p.name for p in neck)} ask for no gradient; all other {len(last.parameters) - len(neck)} do",
        step=last.step,
    )
