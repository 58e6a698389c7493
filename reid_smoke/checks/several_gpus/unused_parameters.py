from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import listed
from reid_smoke.facts import CrashFacts, ParameterFacts

MESSAGE = "Expected to have finished reduction in the prior iteration"  # as every torch so far words it


@check("RS604", slug="unused-parameters", severity="fatal", needs=[CrashFacts], uses=[ParameterFacts])
def unused_parameters(crashes: list[CrashFacts], parameters: list[ParameterFacts]) -> Finding | None:
    """Parameters that the loss does not reach stop DistributedDataParallel.

    What it means:
        The wrapper waits for a gradient of every parameter that asks for one, and some get none: a branch that is not
        used, a head that is for evaluation only, a loss term of weight 0.

    Why it stops learning:
        The second step raises.

    Mend:
        Freeze what is not trained, before wrapping, or take it out of the model:

            for parameter in model.unused.parameters():
                parameter.requires_grad_(False)

        Where which parts are used changes from step to step:
        `DistributedDataParallel(model, find_unused_parameters=True)`, which costs a walk through the graph each step.

    Seen in:
        `RuntimeError: Expected to have finished reduction in the prior iteration before starting a new one`.
    """
    for crash in crashes:
        if MESSAGE in crash.message:
            unused = (
                [p.name for p in parameters[-1].parameters if p.requires_grad and not p.reached] if parameters else []
            )
            which = f": the loss does not reach {listed(unused)}" if unused else ""
            return Finding(f"crashed after step {crash.step} ({crash.where}){which}", step=crash.step + 1)
    return None
