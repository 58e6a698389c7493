from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import is_stepped_by_others
from reid_smoke.facts import CrashFacts, ParameterFacts, StepFacts


@check(
    "RS404", slug="optimizer-holds-stale-parameters", severity="fatal", needs=[ParameterFacts],
    uses=[StepFacts, CrashFacts],
    explains=["RS202", "RS203", "RS302"],
)  # fmt: skip
def optimizer_holds_stale_parameters(
    parameters: list[ParameterFacts], steps: list[StepFacts], crashes: list[CrashFacts]
) -> Finding | None:
    """The optimizer holds parameters that no model has any more.

    What it means:
        A layer was replaced after the optimizer had been built. The optimizer still steps the old one, which nothing
        uses.

    Why it stops learning:
        The new layer is in no group and stays as it was initialised.

    Mend:
        Build the optimizer last: after the head is replaced, after the model is moved, wrapped or copied.

    Seen in:
        `model.classifier = nn.Linear(...)` for a new data set, below the line that makes the optimizer.
    """
    last = parameters[-1]
    if not last.orphans:
        return None
    if last.optimizer_holds_head is False and is_stepped_by_others(steps, crashes, parameters) is not False:
        return None  # fp32 masters of a model in half precision
    shapes = ", ".join(" x ".join(map(str, shape)) for shape in last.orphan_shapes)
    missing = [p.name for p in last.parameters if p.requires_grad and p.reached and p.group is None]
    instead = f"; {missing[0]} is trained by no group" if missing else ""
    return Finding(
        f"{last.optimizer} holds {last.orphans} parameters that are in no module and that the loss does not reach "
        f"({shapes}){instead}",
        step=last.step,
        # Where every parameter that the loss reaches is held, nothing has been replaced: this one waits for a later
        # stage, or for an option that is off.
        severity=None if missing else "warn",
    )
