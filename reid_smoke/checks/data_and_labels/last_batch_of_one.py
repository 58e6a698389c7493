from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import CrashFacts

MESSAGE = "Expected more than 1 value per channel"  # as every torch so far words it


@check("RS116", slug="last-batch-of-one", severity="fatal", needs=[CrashFacts])
def last_batch_of_one(crashes: list[CrashFacts]) -> Finding | None:
    """A batch holds one image, and batch norm cannot take it.

    What it means:
        The number of images leaves a remainder of one when divided by the batch size, and the loader hands that out as
        a batch of its own; or the batch size is 1.

    Why it stops learning:
        The training ends there, often minutes after its start: in training mode a batch norm over vectors needs two
        samples to know a spread.

    Mend:
        Leave the remainder out:

            DataLoader(dataset, batch_size=64, shuffle=True, drop_last=True)

    Seen in:
        AlignedReID #37 (the last batch); `ValueError: Expected more than 1 value per channel when training`.
    """
    for crash in crashes:
        if MESSAGE in crash.message:
            return Finding(f"crashed after step {crash.step}: {crash.message} ({crash.where})", step=crash.step + 1)
    return None
