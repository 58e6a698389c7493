from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import first_run
from reid_smoke.facts import CrashFacts, StepFacts

BATCHES = 5  # in a row: by chance this happens with few identities only


@check(
    "RS102", slug="one-identity-a-batch", severity="fatal", uses=[StepFacts, CrashFacts],
    explains=["RS202", "RS203", "RS204", "RS503"],
)  # fmt: skip
def one_identity_a_batch(steps: list[StepFacts], crashes: list[CrashFacts]) -> Finding | None:
    """Every batch holds a single identity.

    What it means:
        All images of a batch carry the same label: the images are read in the order of their folders without
        shuffling, or the sampler draws K images of one identity instead of P times K.

    Why it stops learning:
        Batch norm takes the mean over the batch away, and with it all that tells this identity from the others. With a
        neck whose bias is frozen at 0 the mean logit over the batch is 0 whatever the weights are, so CE cannot fall
        below chance. A triplet loss that looks for the hardest negative of each image finds none, and raises.

    Mend:
        Shuffle, or sample P identities with K images each:

            DataLoader(dataset, batch_size=64, shuffle=True)

    Seen in:
        AlignedReID #37 (a batch with one identity); torchreid #45, #48 (sampler settings).
    """
    for crash in crashes:
        if crash.only_label is not None:
            return Finding(
                f"all images of the batch after step {crash.step} are of identity {crash.only_label}, so that none has "
                f"a negative: {crash.message} ({crash.where})",
                step=crash.step + 1,
            )
    step = first_run(steps, lambda s: s.distinct_labels == 1 and s.batch > 1, BATCHES)
    # One and the same label again and again may be that of all images: that is another fault, and shows in a while.
    if step is None or len({s.label_min for s in steps}) == 1:
        return None
    return Finding(
        f"{BATCHES} batches in a row hold one label each: the {step.batch} images of step {step.step} "
        f"are all of identity {step.label_min}",
        step=step.step,
    )
