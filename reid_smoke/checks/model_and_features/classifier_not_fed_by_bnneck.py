from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import GraphFacts


@check(
    "RS501", slug="classifier-not-fed-by-bnneck", severity="fail", needs=[GraphFacts],
    explains=["RS202", "RS203", "RS204", "RS403", "RS417"],
)  # fmt: skip
def classifier_not_fed_by_bnneck(graphs: list[GraphFacts]) -> Finding | None:
    """The model has a BNNeck, but the classifier is fed past it.

    What it means:
        There is a batch norm as wide as the head's input, and the graph shows that the logits are made from a feature
        that did not go through it.

    Why it stops learning:
        The pooled feature's channels are all positive and of very different sizes. CE pulls at them directly, against
        the metric loss, and at the head's learning rate it overshoots. The neck itself is never trained.

    Mend:
        Feed the classifier from the neck:

            feature = self.pool(self.backbone(images)).flatten(1)
            logits = self.classifier(self.bottleneck(feature))

    Seen in:
        Ports of BNNeck models in which `feat` and `global_feat` were mixed up.
    """
    last = graphs[-1]
    if last.neck is None or last.neck_feeds_head is not False:
        return None
    path = " <- ".join(last.feature_path) or "a feature without gradient history"
    return Finding(f"{last.head} is fed by {path}, not by {last.neck}", step=last.step)
