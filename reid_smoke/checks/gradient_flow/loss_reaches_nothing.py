from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import CrashFacts

MESSAGE = "does not require grad and does not have a grad_fn"  # as every torch so far words it


@check("RS316", slug="loss-reaches-nothing", severity="fatal", needs=[CrashFacts])
def loss_reaches_nothing(crashes: list[CrashFacts]) -> Finding | None:
    """Backward is called on a loss with no path to any parameter.

    What it means:
        Between the weights and the loss the graph was cut: the whole forward ran under `no_grad` or `inference_mode`,
        the logits or the loss itself were detached, or made anew from a number. Or everything that the loss reaches is
        frozen: all of the model, or what a phase of a freezing schedule leaves in the loss. Or the identity loss is not
        among the losses that are summed up, and what is left goes through frozen layers alone.

    Why it stops learning:
        There is nothing to go back to: torch raises, and the training ends there.

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
    return None
