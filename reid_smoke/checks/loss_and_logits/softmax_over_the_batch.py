from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import GraphFacts


@check(
    "RS213", slug="softmax-over-the-batch", severity="fatal", needs=[GraphFacts],
    explains=["RS201", "RS202", "RS203", "RS204", "RS401"],
)  # fmt: skip
def softmax_over_the_batch(graphs: list[GraphFacts]) -> Finding | None:
    """The softmax is taken over the samples of the batch, not over the identities.

    What it means:
        Its `dim` is the batch's. The values of one identity over all samples sum to 1, instead of those of one sample
        over all identities.

    Why it stops learning:
        The loss asks which sample of the batch an identity is, and begins at the log of the batch size, not at log C.
        It falls, and says nothing about who is who.

    Mend:
        Logits are (B, C): the identities are dimension 1.

            loss = F.cross_entropy(logits, labels)   # or log_softmax(logits, dim=1)

    Seen in:
        `log_softmax(x, dim=0)` from one-dimensional examples.
    """
    if not graphs[-1].over_batch:
        return None
    return Finding(
        f"the loss's log-softmax goes along dimension 0, the samples; dimension 1 has the {graphs[-1].num_classes} "
        "identities",
        step=graphs[-1].step,
    )
