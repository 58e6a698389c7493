from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import OddLossFacts, StepFacts

MOVED = (
    "T", "Transpose", "Permute", "View", "UnsafeView", "Reshape", "Clone", "Squeeze", "Unsqueeze", "Index", "Slice",
    "Select", "Cat", "Stack", "ToCopy",
)  # fmt: skip  # values are put elsewhere, and stay what they are
LOGS = ("Log", "LogSoftmax")


@check("RS212", slug="nll-without-log-softmax", severity="fatal", needs=[OddLossFacts], uses=[StepFacts])
def nll_without_log_softmax(odd: list[OddLossFacts], steps: list[StepFacts]) -> Finding | None:
    """nll_loss is given logits or probabilities, not log-probabilities.

    What it means:
        `nll_loss` does nothing but take the label's value and put a minus before it. The log-softmax is the caller's.

    Why it stops learning:
        From logits the loss falls without end, as one output after the other grows: nothing holds the others down. From
        probabilities it lies between -1 and 0, and its gradient is next to nothing while the answer is wrong. Where
        somebody else takes the log, and the logits come without a softmax, it is NaN from the first negative one on.

    Mend:
        Let the loss take the logits, or put the log-softmax before it:

            loss = F.cross_entropy(logits, labels)   # log_softmax and nll_loss in one

    Seen in:
        `nn.NLLLoss` in the place of `nn.CrossEntropyLoss`; a `softmax` where `log_softmax` was meant (the loss reads
        -0.0025 at 400 identities, and stays there); skorch's `NeuralNetClassifier` as it comes, whose criterion is
        `NLLLoss` and which takes the log itself, around a module that ends in its logits.
    """
    if steps or odd[-1].loss != "nll_loss":
        return None  # another loss holds a classification, and that one is judged
    fed_by = " <- ".join(odd[-1].fed_by) or "no operation at all"
    if odd[-1].raw_log:
        return Finding(
            f"nll_loss is fed by {fed_by}: the log of a layer's outputs as they are, and those under 0 have none",
            step=odd[-1].step,
        )
    if next((name for name in odd[-1].fed_by if name not in MOVED), "") in LOGS:
        return None  # the log of something: no logits, and if that is a probability, all is well
    return Finding(f"nll_loss is fed by {fed_by}", step=odd[-1].step)
