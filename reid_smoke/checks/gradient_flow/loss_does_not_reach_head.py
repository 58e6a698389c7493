from math import log

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
        Where no cross-entropy was ever computed, a metric loss alone may be meant: that is a warning, and the verdict
        is UNKNOWN, since there is no CE to judge by.

    Why it stops learning:
        No gradient ever arrives at the head, so it never moves.

    Mend:
        Compute the logits with gradients on, and hand the very tensor to the loss: no `.detach()`, `.data`, `.item()`,
        `torch.tensor(logits)` or numpy in between. Where only a metric loss is there (a sampler or an option called
        `triplet` often means triplet alone), add the cross-entropy to it. Where that is meant, leave the classifier out
        of the model, or freeze it.

    Seen in:
        torchreid #357 (the CE's weight was 0); CLIP-ReID #9 (a loss that was never called).
    """
    last, table = counts[-1], parameters[-1]
    if last.backwards or last.other_backwards < BACKWARDS:
        return None
    reached = sum(p.reached for p in table.parameters)
    enough = max(BACKWARDS, last.other_backwards)
    computed = ""
    if last.losses_without_gradient >= enough:
        computed = (
            f"; {last.losses_without_gradient} cross-entropies were computed, all of them of logits that ask for no "
            "gradient, such as those of a teacher under no_grad"
        )
    elif last.losses_left_out >= enough:
        computed = f"; {last.losses_left_out} cross-entropies were computed, and none of them went backward"
    planned = runs[0].head if runs else None
    heads = [
        p for p in table.parameters if p.requires_grad and not p.reached and (p.name == planned or _like_a_head(p.name))
    ]
    added = last.loss_without_graph
    if not computed and heads and added is not None and _like_a_ce(added, heads[0].shape):
        computed = f"; {added:.2f} of the loss have no graph behind them, as much as a detached cross-entropy would add"
    if not heads and last.losses_without_gradient < enough:
        return None
    never = f"never {heads[0].name}; " if heads else ""
    is_certain = bool(computed) or any(p.name == planned for p in heads)
    meant = (
        "" if is_certain else ", and no cross-entropy was computed: nothing is wrong if a metric loss alone is meant"
    )
    return Finding(
        f"{last.other_backwards} backwards reached {reached} of {len(table.parameters)} parameters, "
        f"{never}none of them went through a classification{computed}{meant}",
        step=table.step,
        severity=None if is_certain else "warn",
    )


def _like_a_head(name: str) -> bool:
    return any(word in name.lower() for word in ("classifier", "head", "logit"))


def _like_a_ce(added: float, shape: tuple[int, ...]) -> bool:
    """About what CE is before anything is learnt, of as many classes as the head has rows."""
    return bool(shape) and shape[0] > 1 and 0.5 * log(shape[0]) < added < 3 * log(shape[0])
