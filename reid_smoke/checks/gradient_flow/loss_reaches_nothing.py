from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import CrashFacts, GraphFacts, LoopFacts, ParameterFacts

MESSAGE = "does not require grad and does not have a grad_fn"  # as every torch so far words it
STEPS = 3  # of the optimizer, with nothing to step by


@check(
    "RS316", slug="loss-reaches-nothing", severity="fatal",
    uses=[CrashFacts, LoopFacts, GraphFacts, ParameterFacts], explains=["RS202", "RS305"],
)  # fmt: skip
def loss_reaches_nothing(
    crashes: list[CrashFacts], counts: list[LoopFacts], graphs: list[GraphFacts], parameters: list[ParameterFacts]
) -> Finding | None:
    """Backward is called on a loss with no path to any parameter.

    What it means:
        Between the weights and the loss the graph was cut: the whole forward ran under `no_grad` or `inference_mode`,
        the logits or the loss itself were detached, or made anew from a number. Or everything that the loss reaches is
        frozen: all of the model, or what a phase of a freezing schedule leaves in the loss. Or the identity loss is not
        among the losses that are summed up, and what is left goes through frozen layers alone.

    Why it stops learning:
        There is nothing to go back to. torch raises, and the training ends there; or, where what was cut off was made
        to ask for a gradient of its own, it says nothing, and the optimizer steps by nothing.

    Mend:
        Look at the logits of the step that raised, and go back from there to where the path ends:

            print(logits.requires_grad, logits.grad_fn)     # True, <AddmmBackward0>
            print([n for n, p in model.named_parameters() if p.requires_grad])

        Validation under `torch.no_grad()` belongs in a block of its own; `.item()`, `.data`, `.detach()` and
        `torch.tensor(loss)` belong to logging.

    Seen in:
        `RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn`.
    """
    for crash in crashes:
        if MESSAGE in crash.message:
            return Finding(f"crashed after step {crash.step}: {crash.message} ({crash.where})", step=crash.step + 1)
    return _a_number(counts) or _a_leaf(graphs, parameters)


def _a_number(counts: list[LoopFacts]) -> Finding | None:
    """The loss is a tensor that nothing made."""
    last = counts[-1] if counts else None
    if last is None or not last.leaf_backwards or last.backwards or last.other_backwards:
        return None
    if last.optimizer_steps < STEPS:
        return None
    return Finding(
        f"{last.optimizer_steps} optimizer steps and {last.leaf_backwards} backwards, each of them on a tensor that "
        "nothing made: `torch.tensor(...)`, `.item()` and `.detach()` cut it off from the model",
        step=last.step,
    )


def _a_leaf(graphs: list[GraphFacts], parameters: list[ParameterFacts]) -> Finding | None:
    """The loss is made of logits that nothing made."""
    if not graphs or not parameters:
        return None
    last, table = graphs[-1], parameters[-1]
    if last.head is not None or last.sharded or last.feature_path or any(p.reached for p in table.parameters):
        return None
    if not last.backbone_trainable or last.backbone_reached:
        return None
    return Finding(
        f"the loss reaches 0 of {len(table.parameters)} parameters, neither the head nor the {last.backbone_trainable} "
        f"that are trainable before it: its logits, or what they are made of, are a tensor that nothing made, and that "
        "asks for a gradient of its own (`.requires_grad_()`, after `.detach()` or within `no_grad`)",
        step=last.step,
    )
