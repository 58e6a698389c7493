from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import GraphFacts, RankFacts, StepFacts

STEPS = 5  # batches of two epochs that must agree, one after another


@check("RS610", slug="same-order-every-epoch", severity="warn", needs=[StepFacts, RankFacts, GraphFacts])
def same_order_every_epoch(steps: list[StepFacts], others: list[RankFacts], graphs: list[GraphFacts]) -> Finding | None:
    """Every epoch brings the same batches in the same order.

    What it means:
        The sampler shuffles from the same seed in each epoch: nobody tells it which epoch it is.

    Why it stops learning:
        It learns, but worse: the same images always share a batch, and with a PK sampler the same people are always
        compared with each other.

    Mend:
        Tell the sampler at each epoch's start:

            for epoch in range(epochs):
                sampler.set_epoch(epoch)

    Seen in:
        DistributedSampler without set_epoch, which torch's own documentation warns of.
    """
    epochs: dict[int, dict[int, StepFacts]] = {}
    for step in steps:
        epochs.setdefault(step.epoch, {})[step.step_in_epoch] = step
    first, *later = epochs.values()
    pairs = [(first[place], epoch[place]) for epoch in later for place in epoch if place in first]
    if len(pairs) < STEPS or any(one.label_checksum != other.label_checksum for one, other in pairs):
        return None
    # Batches that hold everybody, or are all one batch, are the same in any order.
    telling = {one.label_checksum for one, _ in pairs if one.distinct_labels < graphs[-1].num_classes}
    if len(telling) < STEPS:
        return None
    return Finding(
        f"{len(pairs)} batches of later epochs carry the labels of the first epoch's, place by place",
        step=pairs[-1][1].step,
    )
