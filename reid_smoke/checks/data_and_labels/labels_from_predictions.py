from math import log
from statistics import NormalDist, fmean

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import GraphFacts, StepFacts

STEPS = 3  # the first ones
ALL = 0.99  # of a batch is right
UNLEARNT = 0.8  # of log C: who gives such odds has learnt next to nothing
BY_CHANCE = 1.15  # of how far the largest of C normal numbers lies out; what was learnt stands out by more
LEAST = 4  # images a batch


@check(
    "RS122", slug="labels-from-predictions", severity="fatal", needs=[StepFacts, GraphFacts],
    explains=["RS102", "RS105", "RS106", "RS110", "RS118", "RS202", "RS203", "RS204", "RS311", "RS403", "RS503"],
)  # fmt: skip
def labels_from_predictions(steps: list[StepFacts], graphs: list[GraphFacts]) -> Finding | None:
    """The labels are the model's own predictions.

    What it means:
        From the first step on every image is answered right, by a model that has learnt nothing yet: its odds are those
        of guessing. The labels that the loss was given are the likeliest classes of the very same logits.

    Why it stops learning:
        It learns to be surer of what it says already, whatever that is. CE falls and accuracy is 1, mostly with all
        images in one class in the end.

    Mend:
        Take the labels from the batch, and predictions for the accuracy alone; look for a name that is used twice:

            predicted = logits.argmax(1)
            loss = F.cross_entropy(logits, labels)      # not: predicted

    Seen in:
        Loops in which `pred` and `target` were exchanged; pseudo labels made before anything was learnt.
    """
    first, graph = steps[:STEPS], graphs[-1]
    if len(first) < STEPS or first[0].step != 1 or graph.num_classes < 3 or graph.margin or graph.opinions:
        return None
    right = min(s.top1 for s in first)
    if right < ALL or min(s.batch for s in first) < LEAST:
        return None
    # Cosines of proxies that were made of the identities' own images are right from the start at odds that say little.
    classes = graph.num_classes
    if graph.unit_lengths and not all(_is_the_largest_by_chance(s, classes) for s in first):
        return None
    if not graph.unit_lengths and not all(s.ce > UNLEARNT * log(classes) for s in first):
        return None
    return Finding(
        f"in the first {STEPS} steps {right:.0%} of the images are answered right, at a CE of "
        f"{fmean(s.ce for s in first):.2f} (log {graph.num_classes} = {log(graph.num_classes):.2f})",
        step=first[-1].step,
    )


def _is_the_largest_by_chance(step: StepFacts, classes: int) -> bool:
    """The right identity's cosine lies no further out than the largest of C normal numbers (Blom 1958).

    Of normal logits CE is log C + std^2 / 2 less the distance of the right one from their mean.
    """
    if not (step.ce > log(classes) / 2 and step.logit_std > 0):  # beyond that the others are no longer normal
        return False
    out = (log(classes) - step.ce) / step.logit_std + step.logit_std / 2
    return out < BY_CHANCE * NormalDist().inv_cdf((classes - 0.375) / (classes + 0.25))
