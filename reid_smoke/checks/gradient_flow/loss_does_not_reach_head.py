from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import LoopFacts, ParameterFacts, RunFacts

BACKWARDS = 3


@check(
    "RS304", slug="loss-does-not-reach-head", severity="fatal", needs=[LoopFacts, ParameterFacts], uses=[RunFacts],
    explains=["RS202", "RS305"],
)  # fmt: skip
def loss_does_not_reach_head(
    counts: list[LoopFacts], parameters: list[ParameterFacts], runs: list[RunFacts]
) -> Finding | None:
    """The loss has no path to the classifier.

    What it means:
        Backward runs, but the graph behind the loss does not end in the head's weight, although it is trainable: the
        logits were detached, computed under `no_grad`, or left out of the loss; or the loss was given another model's,
        a teacher's that nothing trains.

    Why it stops learning:
        No gradient ever arrives at the head, so it never moves.

    Mend:
        Compute the logits with gradients on, and hand the very tensor to the loss: no `.detach()`, `.data`, `.item()`,
        `torch.tensor(logits)` or numpy in between. Where only a metric loss is there (a sampler or an option called
        `triplet` often means triplet alone), add the cross-entropy to it.

    Seen in:
        torchreid #357 (the CE's weight was 0); CLIP-ReID #9 (a loss that was never called).
    """
    last, table = counts[-1], parameters[-1]
    if last.backwards or last.other_backwards < BACKWARDS:
        return None
    reached = sum(p.reached for p in table.parameters)
    detached = ""
    if last.losses_without_gradient >= max(BACKWARDS, last.other_backwards):
        detached = (
            f"; {last.losses_without_gradient} cross-entropies were computed, all of them of logits that ask for no "
            "gradient, such as those of a teacher under no_grad"
        )
    planned = runs[0].head if runs else None
    heads = [
        p for p in table.parameters if p.requires_grad and not p.reached and (p.name == planned or _like_a_head(p.name))
    ]
    if not heads and not detached:
        return None
    never = f"never {heads[0].name}; " if heads else ""
    return Finding(
        f"{last.other_backwards} backwards reached {reached} of {len(table.parameters)} parameters, "
        f"{never}none of them went through a classification{detached}",
        step=table.step,
    )


def _like_a_head(name: str) -> bool:
    return any(word in name.lower() for word in ("classifier", "head", "logit"))
