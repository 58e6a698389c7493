from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run, updates
from reid_smoke.facts import ParameterFacts, StepFacts

STEPS = 5


@check(
    "RS418", slug="step-changes-nothing", severity="fail", needs=[StepFacts, ParameterFacts],
    explains=["RS202", "RS203", "RS204", "RS401"],
)  # fmt: skip
def step_changes_nothing(steps: list[StepFacts], parameters: list[ParameterFacts]) -> Finding | None:
    """The optimizer steps, and the head's weight is exactly what it was.

    What it means:
        The head has a gradient and a learning rate, the optimizer that holds it steps, and not one bit of the weight
        changes.

    Why it stops learning:
        In half precision a weight of 0.05 has no neighbour nearer than 0.0002: what a small learning rate adds is
        rounded away each time. An optimizer of one's own may step a copy, or write its result nowhere.

    Mend:
        Keep the weights in fp32, and compute in half precision: `torch.autocast`, not `model.bfloat16()`. In an
        optimizer written by hand change the parameter in place:

            parameter.add_(update, alpha=-lr)      # not: parameter = parameter - lr * update

    Seen in:
        Whole models cast to bf16 or fp16 with fine-tuning learning rates.
    """
    head = next((p for p in parameters[-1].parameters if p.role == "head" and p.group is not None), None)

    def stands(s: StepFacts) -> bool:
        steps_head = bool(s.head_steps) and bool(s.lr_head)
        return steps_head and s.head_update == 0 and s.head_grad_applied > 0

    step = first_run(updates(steps), stands, STEPS)
    if step is None or head is None:
        return None
    return Finding(
        f"{STEPS} updates in a row with head lr {step.lr_head:.3g} and a gradient of {step.head_grad_applied:.2g} left "
        f"{head.name} ({head.dtype}) as it was, to the last bit",
        step=step.step,
    )
