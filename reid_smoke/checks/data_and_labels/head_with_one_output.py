from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import DatasetFacts, GraphFacts


@check(
    "RS107", slug="head-with-one-output", severity="fatal", uses=[DatasetFacts, GraphFacts],
    explains=["RS102", "RS106", "RS202", "RS311", "RS312", "RS401"],
)  # fmt: skip
def head_with_one_output(datasets: list[DatasetFacts], graphs: list[GraphFacts]) -> Finding | None:
    """The head has a single output.

    What it means:
        One class was found in the data, and the head was built for one: the folder with the images lies a level
        higher or deeper than the reader expects, or only one of several folders was read.

    Why it stops learning:
        The softmax of one logit is 1: the loss is 0.0000 and the accuracy 1.0 from the first step, whatever the
        weights are, and so no gradient ever flows.

    Mend:
        Look at how many identities the data set found before the model is built, and at the folder it was given:

            assert num_classes > 1, f"one identity found under {root}"

    Seen in:
        ReID-PCB_RPP #7 (loss 0.0000, accuracy 1.0: one class found, a folder name).
    """
    for facts in datasets:
        if facts.num_classes == 1:
            return Finding(
                f"{facts.identities} identities in the {facts.images} images of {facts.source}, and a head of 1 "
                "output: CE is 0 for any weights"
            )
    if not graphs or graphs[-1].num_classes != 1:
        return None
    last = graphs[-1]
    return Finding(f"the logits that {last.head or 'the head'} makes are 1 wide: CE is 0 for any weights", last.step)
