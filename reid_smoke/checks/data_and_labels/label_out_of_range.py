from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import CrashFacts, DatasetFacts


@check(
    "RS101", slug="label-out-of-range", severity="fatal", uses=[DatasetFacts, CrashFacts],
    explains=["RS201", "RS202", "RS203", "RS204"],
)  # fmt: skip
def label_out_of_range(datasets: list[DatasetFacts], crashes: list[CrashFacts]) -> Finding | None:
    """A label lies outside 0..C-1.

    What it means:
        The classifier has C outputs, and some image carries a label that none of them stands for.

    Why it stops learning:
        On the CPU the loss raises `Target 378 is out of bounds`. On a GPU it is a device-side assertion (`t >= 0 && t <
        n_classes`) that poisons the whole process, often many steps after the start, when the image first comes up.

    Mend:
        Build the head for as many classes as there are training identities, and relabel them 0..C-1 in sorted order:

            label_of = {pid: label for label, pid in enumerate(sorted(set(pids)))}
            num_classes = len(label_of)

        Drop junk (pid -1), keep pid 0.

    Seen in:
        TransReID #93 and layumi/Person_reID_baseline_pytorch #372 (the assertion); torchreid #361, #420, #190
        (largest id over the classes configured), #537 (mended by relabelling); mmtracking #244 (378 configured, ids
        up to 379).
    """
    for facts in datasets:
        if facts.labels_out_of_range:
            return Finding(
                f"{facts.labels_out_of_range} of {facts.images} images have a label outside "
                f"0..{facts.num_classes - 1}: labels run from {facts.label_min} "
                f"to {facts.label_max}, for example {facts.example_out_of_range}"
            )
    for crash in crashes:
        if crash.bad_labels and crash.num_classes:
            shown = ", ".join(map(str, crash.bad_labels[:5]))
            return Finding(
                f"the batch after step {crash.step} holds labels {shown}; the logits are {crash.num_classes} wide, "
                f"so labels must be 0..{crash.num_classes - 1}",
                step=crash.step + 1,
            )
    return None
