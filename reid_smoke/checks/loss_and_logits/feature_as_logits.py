from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.data_and_labels.head_wider_than_labels import too_wide
from reid_smoke.checks.loss_and_logits.relu_on_logits import NOT_NEGATIVE
from reid_smoke.checks.reading import NORMALISES, POOLS, is_any
from reid_smoke.facts import (
    DatasetFacts,
    GraphFacts,
    LabelFacts,
    LoaderFacts,
    ParameterFacts,
    ParameterRecord,
    RankFacts,
    RunFacts,
    StepFacts,
)

STEPS = 10  # whose labels are looked at
HEADS = 2  # of one width, beside which another width is odd


@check(
    "RS215", slug="feature-as-logits", severity="fail", needs=[GraphFacts],
    uses=[ParameterFacts, LabelFacts, DatasetFacts, LoaderFacts, RunFacts, RankFacts, StepFacts],
    explains=["RS105", "RS202", "RS203", "RS204", "RS206", "RS401", "RS403", "RS501", "RS502", "RS604"],
)  # fmt: skip
def feature_as_logits(
    graphs: list[GraphFacts],
    parameters: list[ParameterFacts],
    labels: list[LabelFacts],
    datasets: list[DatasetFacts],
    loaders: list[LoaderFacts],
    runs: list[RunFacts],
    others: list[RankFacts],
    steps: list[StepFacts],
) -> Finding | None:
    """The loss is given the feature in the place of the classifier's scores.

    What it means:
        What the loss takes for logits comes out of the backbone's pooling or out of a batch norm, and the classifier
        that takes this many numbers is left out; or most of these numbers are nobody's; or the loss's other heads, all
        of one width, have fewer.

    Why it stops learning:
        The feature has more channels than there are identities, so the loss raises no error: channel 7 is trained to
        answer to identity 7. CE can even fall, but the classifier stays as it was drawn, and the feature becomes a list
        of scores of the identities in training.

    Mend:
        Look at what the model returns while it trains, and at which of it the loss is given:

            if self.training:                # not: if not self.training
                return self.classifier(feature), global_feature
            return feature

            score, global_feature = model(images)
            loss = criterion(score, labels)

    Seen in:
        Models that return `(feature, score)` under a loop that takes `(score, feature)`; an `if self.training` turned
        around; MGN's list of outputs, `outputs[3:]` for `outputs[4:]`.
    """
    last = graphs[-1]
    pooled, normalised = is_any(last.logit_path, POOLS), is_any(last.logit_path, NORMALISES)
    if not pooled and not normalised:
        return None
    way = f"the {last.num_classes} logits come out of {' <- '.join(last.logit_path)} behind {last.head or 'a product'}"
    idle = _left_out(parameters[-1], last) if parameters else None
    if idle is not None:
        rows, columns = idle.shape
        return Finding(f"{way}; {idle.name} ({rows} x {columns}) is not reached by the loss", step=last.step)
    usual = _width_of_the_others(parameters[-1], last) if parameters else None
    if usual is not None and len(steps) >= STEPS and max(step.label_max for step in steps) < usual < last.num_classes:
        return Finding(f"{way}; the loss's {len(last.other_heads)} other heads have {usual} each", step=steps[-1].step)
    # A classifier may well be normalised or pooled itself: then it is as wide as there are identities.
    twice = normalised and (pooled or is_any(last.logit_path, NOT_NEGATIVE))
    wide = too_wide(labels, datasets, loaders, runs, others) if twice else None
    return Finding(f"{way}, and {wide.evidence}", step=wide.step) if wide is not None else None


def _width_of_the_others(last: ParameterFacts, graph: GraphFacts) -> int | None:
    """How many logits each of the other heads makes; None where they are few, or differ."""
    widths = [one.shape[0] for one in last.parameters if one.name in graph.other_heads and len(one.shape) >= 2]
    return widths[0] if len(widths) >= HEADS and len(set(widths)) == 1 else None


def _left_out(last: ParameterFacts, graph: GraphFacts) -> ParameterRecord | None:
    """A weight that would make scores of these logits, and that the loss does not reach."""
    for one in last.parameters:
        takes_them = len(one.shape) == 2 and one.shape[1] == graph.num_classes
        if takes_them and one.requires_grad and not one.reached and one.name not in (graph.head, *graph.other_heads):
            return one
    return None
