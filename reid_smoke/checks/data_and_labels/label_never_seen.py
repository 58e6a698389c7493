from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.data_and_labels._coverage import (
    came_before,
    missing_by_chance,
    others_may_have_them,
    overfits,
    saw_an_epoch,
)
from reid_smoke.checks.reading import has_no_head, has_no_labels, listed
from reid_smoke.facts import GraphFacts, LabelFacts, LoaderFacts, RankFacts, RunFacts

BY_CHANCE = 0.01  # labels that chance may leave out: of a hundred healthy trainings one has such a gap
MOST = 1 / 3  # of all labels; more is `head-wider-than-labels`


@check(
    "RS104", slug="label-never-seen", severity="warn", needs=[LabelFacts, LoaderFacts],
    uses=[RunFacts, RankFacts, GraphFacts],
)  # fmt: skip
def label_never_seen(
    labels: list[LabelFacts],
    loaders: list[LoaderFacts],
    runs: list[RunFacts],
    others: list[RankFacts],
    graphs: list[GraphFacts],
) -> Finding | None:
    """The head has outputs for labels that never come up.

    What it means:
        The whole set was gone through, and the images of some labels were not in it: an identity was lost on the way,
        or the labels begin at 1 and the head was made one wider to bear that.

    Why it stops learning:
        It does not. But a lost identity is lost data, and a label without images shows that labels and head were
        counted in two different ways.

    Mend:
        Keep pid 0: `pid = int(text) or -1` turns it into junk; write `if pid == -1: continue`. Count the classes from
        the relabelled training set alone: `num_classes = len(set(labels))`.

    Seen in:
        `or -1` that loses pid 0, in users' code; AlignedReID #37 and torchreid #45 for samplers that leave some out.
    """
    last = labels[-1]
    missing = last.num_classes - last.seen
    if overfits(runs) or not saw_an_epoch(loaders) or missing_by_chance(last) > BY_CHANCE:
        return None
    if others_may_have_them(last, others) or came_before(labels) or has_no_head(graphs) or has_no_labels(graphs):
        return None
    if not 0 < missing <= MOST * last.num_classes:
        return None
    return Finding(
        f"{missing} of {last.num_classes} labels never came up in {last.images} images: "
        f"{listed([str(label) for label in last.unseen_examples])}",
        step=last.step,
    )
