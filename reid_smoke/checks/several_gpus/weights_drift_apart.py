from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.several_gpus._ranks import apart, named, side_by_side
from reid_smoke.facts import GraphFacts, RankFacts, StepFacts

STEPS = 10  # compared at least; weights that are averaged now and then (local SGD) agree at some of them
WEIGHTS = 1e-5  # relative: the same weights give the same norm, to float32's rounding
GRADIENTS = 1e-3


@check("RS603", slug="weights-drift-apart", severity="fail", needs=[StepFacts, RankFacts, GraphFacts])
def weights_drift_apart(steps: list[StepFacts], others: list[RankFacts], graphs: list[GraphFacts]) -> Finding | None:
    """The ranks train different models.

    What it means:
        The weights, or the gradients that the optimizers apply, differ from rank to rank: they are not averaged. The
        model is not wrapped, a part of it (a head of its own, a loss with weights) is not, or the forward goes past
        the wrapper, through `model.module`.

    Why it stops learning:
        Each rank learns alone, from its share of the data; the checkpoint of the first rank knows nothing of what the
        others saw. A head that drifts under a backbone that is shared pulls it in a different direction on each rank.

    Mend:
        Wrap everything that has weights, and call the wrapper itself:

            model = DistributedDataParallel(model, device_ids=[local_rank])
            loss_module = DistributedDataParallel(loss_module, device_ids=[local_rank])
            score, feat = model(images)          # not model.module(images)

        Build the optimizer from the same parameters on every rank.

    Seen in:
        heads and losses with weights of their own beside a wrapped backbone (SSAN, Simple-CCReID have such parts).
    """
    rows = [row for row in side_by_side(steps, others) if all(fact.updates for fact in row.values())]
    if len(rows) < STEPS:
        return None
    recent = rows[-STEPS:]
    last = recent[-1]
    drifting = [r for r in last if r and all(apart(row[0].head_norm, row[r].head_norm, WEIGHTS) for row in recent)]
    alone = [
        r for r in last if r and all(apart(row[0].backbone_grad, row[r].backbone_grad, GRADIENTS) for row in recent)
    ]
    if not drifting and not alone:
        return None
    head = graphs[-1].head or "the head"
    said = []
    if drifting:
        r = drifting[0]
        said.append(f"|{head}| is {last[0].head_norm:.6g} on rank 0 and {last[r].head_norm:.6g} on {named(drifting)}")
    if alone:
        r = alone[0]
        said.append(
            f"the backbone's gradient is {last[0].backbone_grad:.3g} on rank 0 and {last[r].backbone_grad:.3g} on "
            f"{named(alone)}"
        )
    if drifting and not alone:
        said.append("the backbone's gradient is the same on all of them")
    return Finding(f"at step {last[0].step} {', '.join(said)}; so in the last {STEPS} steps compared", last[0].step)
