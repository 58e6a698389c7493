from collections import Counter

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import is_stepped_by_others, listed
from reid_smoke.facts import CrashFacts, ParameterFacts, StepFacts

ALIKE = 0.8  # of the shapes that are held: a copy whose head was replaced afterwards is still a copy


@check(
    "RS405", slug="optimizer-holds-a-copy", severity="fatal", needs=[ParameterFacts],
    uses=[StepFacts, CrashFacts],
    explains=["RS202", "RS203", "RS204", "RS302", "RS315", "RS401", "RS403", "RS404"],
)  # fmt: skip
def optimizer_holds_a_copy(
    parameters: list[ParameterFacts], steps: list[StepFacts], crashes: list[CrashFacts]
) -> Finding | None:
    """The optimizer steps another copy of the model than the one that is trained.

    What it means:
        The parameters that the loss reaches, backbone and head, are in no optimizer. What the optimizer holds instead
        belongs to another model: to a copy, where it has the same shapes, or to a teacher that no loss reaches.

    Why it stops learning:
        Gradients go to one model, steps are taken in the other.

    Mend:
        Copy first, build the optimizer last, from the very object that is called in the loop:

            model = copy.deepcopy(model)
            optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)

    Seen in:
        EMA teachers made by `deepcopy` and mixed up with the student; a model that is re-created on another device.
    """
    last = parameters[-1]
    reached = [p for p in last.parameters if p.reached and p.requires_grad]
    missed = [p for p in reached if p.group is None]  # a criterion's centres may have an optimizer that is right
    held = [p for p in last.parameters if p.group is not None and not p.reached]
    # A memory of centroids in the place of a head is no parameter, and its model may be all backbone.
    parts = {"backbone", "head"} if any(p.role == "head" for p in last.parameters) else {"backbone"}
    whole = {p.role for p in missed} >= parts and not any(
        p.group is not None for p in reached if p.role in ("backbone", "head")
    )
    if not whole or not held:
        return None
    if is_stepped_by_others(steps, crashes, parameters) is not False:
        return None  # the copy is one of fp32 masters, and is copied back
    alike = sum((Counter(p.shape for p in missed) & Counter(p.shape for p in held)).values())
    is_copy = alike >= ALIKE * min(len(held), len(missed))
    if not is_copy and any(p.group is not None for p in reached):
        return None  # not all that it holds is another model's
    return Finding(
        f"{last.optimizer} holds {len(held)} parameters that the loss does not reach "
        f"({listed([p.name for p in held], 2)}), and none of the {' and '.join(sorted(parts))} that it reaches "
        f"({listed([p.name for p in missed], 2)}); {alike} have the same shapes",
        step=last.step,
    )
