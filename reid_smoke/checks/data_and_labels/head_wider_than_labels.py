from math import exp

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.data_and_labels._coverage import (
    came_before,
    missing_by_chance,
    others_may_have_them,
    overfits,
    saw_an_epoch,
)
from reid_smoke.checks.reading import has_no_head, has_no_labels
from reid_smoke.facts import DatasetFacts, GraphFacts, LabelFacts, LoaderFacts, RankFacts, RunFacts

# At the bar of log C - 0.39 a third of the identities is ruled out: where a third never comes up, CE passes for that
# alone.
MISSING = 1 / 3
DRAWS = 4  # times C: chance would leave out 2 in a hundred
DRAWS_WITHOUT_EPOCH = 10  # times C; before an epoch is over, rare identities may still be to come
AWAITED = 30  # new labels that should have come up since an earlier count, and of these
CAME = 0.02  # came; identities ten times as rare as the others would still bring a tenth of them


@check(
    "RS105", slug="head-wider-than-labels", severity="fail",
    uses=[LabelFacts, DatasetFacts, LoaderFacts, RunFacts, RankFacts, GraphFacts], explains=["RS203"],
)  # fmt: skip
def head_wider_than_labels(
    labels: list[LabelFacts],
    datasets: list[DatasetFacts],
    loaders: list[LoaderFacts],
    runs: list[RunFacts],
    others: list[RankFacts],
    graphs: list[GraphFacts],
) -> Finding | None:
    """The head is far wider than the labels that ever come up.

    What it means:
        More than a third of the head's outputs stand for identities without any image in training: those of the
        validation or query set were counted in, pids were used as labels without relabelling, or most of the data is
        never drawn.

    Why it stops learning:
        It learns first that the absent identities are absent. CE falls under its bar for that alone, and says nothing
        about the people who are there.

    Mend:
        Count classes from the relabelled training set alone, and look at the sampler if the count is right:

            label_of = {pid: label for label, pid in enumerate(sorted(set(train_pids)))}
            num_classes = len(label_of)

    Seen in:
        mmtracking #244 and torchreid #361 (largest id taken for the count); a sampler that yields 80 of 1863 batches.
    """
    if has_no_head(graphs) or has_no_labels(graphs):
        return None
    return too_wide(labels, datasets, loaders, runs, others)


def too_wide(
    labels: list[LabelFacts],
    datasets: list[DatasetFacts],
    loaders: list[LoaderFacts],
    runs: list[RunFacts],
    others: list[RankFacts],
) -> Finding | None:
    """The same of whatever makes the logits."""
    if overfits(runs):
        return None
    if datasets and datasets[-1].num_classes - datasets[-1].identities > MISSING * datasets[-1].num_classes:
        whole = datasets[-1]
        return Finding(f"the training set has {whole.identities} identities, the head {whole.num_classes} outputs")
    if not labels:
        return None
    last = labels[-1]
    missing = last.num_classes - last.seen
    enough = DRAWS if saw_an_epoch(loaders) else DRAWS_WITHOUT_EPOCH
    long_enough = last.draws >= enough * last.num_classes
    if last.seen < 2 or not (long_enough or _no_more_come(labels)):
        return None
    if others_may_have_them(last, others) or came_before(labels) or missing <= MISSING * last.num_classes:
        return None
    return Finding(
        f"{last.seen} of {last.num_classes} labels came up in {last.images} images; chance would have left out "
        f"{missing_by_chance(last):.1g}, not {missing}",
        step=last.step,
    )


def _no_more_come(labels: list[LabelFacts]) -> bool:
    """Since an earlier count hardly one of the many labels came up that should have, were they there at all.

    A label that has not come up in d draws of C equally likely ones does so in the next n with 1 - exp(-n / C). Where
    images are read folder by folder, new ones come all the time.
    """
    last = labels[-1]
    for earlier in labels[:-1]:
        if earlier.num_classes != last.num_classes or earlier.seen < 2:
            continue
        draws = last.draws - earlier.draws
        awaited = (last.num_classes - earlier.seen) * (1 - exp(-draws / last.num_classes))
        if awaited >= AWAITED and last.seen - earlier.seen <= CAME * awaited:
            return True
    return False
