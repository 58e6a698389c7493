from statistics import median

from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import GraphFacts, StepFacts
from reid_smoke.rule import Curve

FEW = 2  # identities: between two, batch norm leaves a single direction that tells them apart
IMAGES = 8  # in the batch: there was room for more
IDENTITIES = 8  # in all


@check(
    "RS117", slug="too-few-identities-a-batch", severity="warn", when="end", needs=[StepFacts, GraphFacts, Curve],
    explains=["RS202", "RS203", "RS204", "RS403"],
)  # fmt: skip
def too_few_identities_a_batch(steps: list[StepFacts], graphs: list[GraphFacts], curve: Curve) -> Finding | None:
    """Batches hold two identities, where there are many.

    What it means:
        The sampler draws very many images of very few people: P and K are swapped, or P is 2.

    Why it stops learning:
        Each step teaches how two people differ and forgets the others; batch norm's mean lies halfway between the two
        and takes away most of what distinguishes them from everybody else. It is slow and noisy rather than dead, and
        so a warning.

    Mend:
        Sample more people with fewer images each: P = 16 and K = 4 make a batch of 64.

    Seen in:
        torchreid #48 and MMT #38 (sampler settings); AlignedReID #37.
    """
    identities, images = median(s.distinct_labels for s in steps), median(s.batch for s in steps)
    if identities > FEW or identities < 2 or images < IMAGES or graphs[-1].num_classes < IDENTITIES:
        return None
    return Finding(
        f"batches of {images:g} images hold {identities:g} of {graphs[-1].num_classes} identities",
        step=steps[-1].step,
        severity=grave_if_ce_fails(curve),
    )
