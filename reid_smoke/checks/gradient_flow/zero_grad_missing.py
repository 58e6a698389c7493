import itertools

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import StepFacts

STEPS = 4  # one after the other


@check(
    "RS310", slug="zero-grad-missing", severity="fatal", needs=[StepFacts],
    explains=["RS201", "RS202", "RS203", "RS204", "RS309", "RS403", "RS503"],
)  # fmt: skip
def zero_grad_missing(steps: list[StepFacts]) -> Finding | None:
    """Gradients are never zeroed: every step takes the old ones again.

    What it means:
        After an optimizer step the head's gradient is still there when the next backward begins, and the new one is
        added to it.

    Why it stops learning:
        Each step follows the sum of all gradients since the start, as momentum without friction would. It overshoots
        further and further, even where CE still falls at first.

    Mend:
        Zero after each step, or before each backward, the gradients of everything that is stepped:

            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        With two optimizers, zero both.

    Seen in:
        pytorch #47175 (asking for a warning).
    """
    count = 0
    for before, now in itertools.pairwise(steps):
        if now.step == before.step + 1 and not before.applied:
            continue  # within an accumulation the gradient is meant to stay
        follows = now.step == before.step + 1 and before.lr_head is not None
        count = count + 1 if follows and now.head_grad_before > 0 else 0
        if count == STEPS:
            zeroed = sum("z" in s.events for s in steps)
            return Finding(
                f"after {STEPS} optimizer steps in a row the head's gradient was still there when the next backward "
                f"began, at last with a norm of {now.head_grad_before:.3g}; "
                f"zero_grad was called around {zeroed} of {len(steps)} steps",
                step=now.step,
            )
    return None
