from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import LoaderFacts, LoopFacts, StepFacts

BATCHES = 100  # with fewer than three updates by the window's end there is nothing to judge


@check(
    "RS307", slug="optimizer-never-steps", severity="fatal", needs=[StepFacts], uses=[LoopFacts, LoaderFacts],
    explains=["RS202", "RS203"],
)  # fmt: skip
def optimizer_never_steps(
    steps: list[StepFacts], counts: list[LoopFacts], loaders: list[LoaderFacts]
) -> Finding | None:
    """Backward runs, but the optimizer never steps.

    What it means:
        Gradients pile up and are never used: `step()` was forgotten, or accumulation counts to a number that is never
        reached, for example more batches than an epoch has when the counter starts anew with each epoch.

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
    if any(s.applied or "k" in s.events for s in steps) or (done < BATCHES and not (epoch_over and done >= 5)):
        return None
    if counts and counts[-1].optimizer_steps:
        return None
    zeroed = sum("z" in s.events for s in steps)
    return Finding(
        f"{done} batches went backward, the optimizer stepped 0 times, zero_grad was called {zeroed} times", done
    )
