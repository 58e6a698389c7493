from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.loss_and_logits.feature_as_logits import feature_as_logits
from reid_smoke.checks.reading import listed
from reid_smoke.facts import (
    DatasetFacts,
    GraphFacts,
    LabelFacts,
    LoaderFacts,
    ModeFacts,
    ParameterFacts,
    RankFacts,
    RunFacts,
    StepFacts,
)
from reid_smoke.rule import Curve


@check(
    "RS507", slug="model-in-eval", severity="fail", needs=[ModeFacts, GraphFacts],
    uses=[Curve, ParameterFacts, LabelFacts, DatasetFacts, LoaderFacts, RunFacts, RankFacts, StepFacts],
    explains=[
        "RS105", "RS201", "RS202", "RS203", "RS204", "RS206", "RS207", "RS210", "RS215", "RS401", "RS403", "RS417",
        "RS501", "RS502", "RS506", "RS513",
    ],
)  # fmt: skip
def model_in_eval(
    modes: list[ModeFacts],
    graphs: list[GraphFacts],
    curve: Curve,
    parameters: list[ParameterFacts],
    labels: list[LabelFacts],
    datasets: list[DatasetFacts],
    loaders: list[LoaderFacts],
    runs: list[RunFacts],
    others: list[RankFacts],
    steps: list[StepFacts],
) -> Finding | None:
    """The whole model is trained in eval mode.

    What it means:
        `model.eval()` was called, by a validation before or between the epochs, and `model.train()` was not called
        after it. The backbone is trainable, so it is not meant to be fixed.

    Why it stops learning:
        Batch norms neither use nor update the batch's statistics, and dropout is off: the features drift away from the
        statistics that they are normalised with. Some trainings bear it for a while; then this is a warning. A model
        that gives the feature instead of the logits in eval mode lets CE take the feature's channels for classes.

    Mend:
        Call `model.train()` at the start of each epoch, not once before the loop:

            for epoch in range(epochs):
                model.train()

    Seen in:
        layumi #218 (BN in train and eval); evaluation functions that leave the model in eval mode.
    """
    last = modes[-1]
    if not last.root_in_eval or not last.in_eval or not graphs[-1].backbone_trainable:
        return None
    # Most models return the feature in eval mode, and a loss may take it for scores.
    feature = feature_as_logits.judge(graphs, parameters, labels, datasets, loaders, runs, others, steps)
    return Finding(
        f"{last.batch_norms_in_eval} of {last.batch_norms} batch norms are in eval mode, and the model itself as well "
        f"({listed(last.in_eval)})",
        step=last.step,
        severity="fail" if feature is not None else grave_if_ce_fails(curve),
    )
