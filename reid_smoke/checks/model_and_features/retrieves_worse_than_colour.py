from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import RetrievalFacts
from reid_smoke.rule import Curve


@check(
    "RS520", slug="retrieves-worse-than-colour", severity="warn", needs=[RetrievalFacts, Curve], when="end"
)  # fmt: skip
def retrieves_worse_than_colour(measured: list[RetrievalFacts], curve: Curve) -> Finding | None:
    """CE passes, and still people are found worse by the model's features than by the colours they wear.

    What it means:
        The identities of the training are told apart, yet the same identity's other images are not near. Histograms of
        colours, which learn nothing, bring them nearer.

    Why it stops learning:
        It does not. Three hundred steps are few, and from random weights this is what they mostly give. It stays a
        question where the model is pretrained, or where training goes on and the figure does not.

    Mend:
        Start from pretrained weights, and measure again after an epoch. If it stays, look at what the feature is taken
        from (after the BNNeck, in eval mode), and whether query images go through the same resizing and normalisation
        as training images.

    Seen in:
        Ten people of PETS 2009 under MobileNetV2 with ImageNet's weights: mAP 0.37 before the run and 0.59 after
        300 steps, where stripes of colour have 0.61.
    """
    last = measured[-1]
    if curve.word != "passes" or last.after is None or last.after.mean_ap >= last.colour.mean_ap:
        return None
    before = f", before it {last.before.mean_ap:.2f}" if last.before else ""
    return Finding(
        f"mAP {last.after.mean_ap:.2f} and Rank-1 {last.after.rank1:.2f} after training{before}; colour alone has "
        f"{last.colour.mean_ap:.2f} and {last.colour.rank1:.2f} ({last.on}, {last.queries:,} queries)"
    )
