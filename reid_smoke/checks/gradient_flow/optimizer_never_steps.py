from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import LoaderFacts, LoopFacts, ParameterFacts, StepFacts

BATCHES = 100  # with fewer than three updates by the window's end there is nothing to judge
UNUSED = 30  # of them, where most gradients are zeroed before anything used them: that accumulates nothing


@check(
    "RS307", slug="optimizer-never-steps", severity="fatal", needs=[StepFacts],
    uses=[LoopFacts, LoaderFacts, ParameterFacts],
    explains=["RS202", "RS203", "RS210"],
)  # fmt: skip
def optimizer_never_steps(
    steps: list[StepFacts], counts: list[LoopFacts], loaders: list[LoaderFacts], parameters: list[ParameterFacts]
) -> Finding | None:
    """Backward runs, but the optimizer never steps.

    What it means:
        Gradients pile up and are never used: `step()` was forgotten, or accumulation counts to a number that is never
        reached, for example more batches than an epoch has when the counter starts anew with each epoch. Where there
        are several optimizers, it is the one that holds the head.

    Why it stops learning:
        The weights are those of step 0.

    Mend:
        Step every `accumulate` batches, and keep the counter across epochs:

            if global_step % accumulate == 0:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)

    Seen in:
        Accumulation by `step % n == n` (never true), and by epoch lengths shorter than n.
    """
    done = steps[-1].step
    epoch_over = any(loader.finished and loader.batches_given >= 5 for loader in loaders)
    zeroed = sum("z" in s.events for s in steps)
    enough = 5 if epoch_over else UNUSED if zeroed > done / 2 else BATCHES
    if done < enough or any(_stepped(s) or "k" in s.events for s in steps):
        return None
    others = counts[-1].optimizer_steps if counts else 0
    if steps[-1].head_moved > 0 or (not others and steps[-1].backbone_moved > 0):
        return None  # the script takes its steps by hand, or by an optimizer that is none of torch's
    held = parameters[-1].optimizer_holds_head if parameters else None
    if others and not held:
        return None  # a head that no optimizer holds is another fault
    if others and any(p.role == "head" and not p.requires_grad for p in parameters[-1].parameters):
        return None  # so is a frozen one, whose optimizer has nothing to step
    beside = f" (other optimizers stepped {others} times)" if others else ""
    return Finding(
        f"{done} batches went backward, the optimizer{' of the head' if others else ''} stepped 0 times{beside}, "
        f"zero_grad was called {zeroed} times",
        done,
    )


def _stepped(step: StepFacts) -> bool:
    return step.applied if step.head_steps is None else step.head_steps > 0
