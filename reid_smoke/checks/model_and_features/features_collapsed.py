from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import compared, first_run
from reid_smoke.facts import StepFacts

STEPS = 5
SAME = 0.9999  # mean cosine between the classifier's inputs of different images
ALIVE = 0.01  # share of channels that vary within a batch


@check(
    "RS503",
    slug="features-collapsed",
    severity="fail",
    needs=[StepFacts],
    explains=["RS202", "RS203", "RS207", "RS311", "RS312", "RS401", "RS417", "RS502"],
    lies_in="model",
)
def features_collapsed(steps: list[StepFacts]) -> Finding | None:
    """All images have the same feature.

    What it means:
        Within a batch of different people the feature before the classifier does not vary: the backbone is dead, its
        input is constant, or its output is.

    Why it stops learning:
        What is the same for everybody tells nobody apart. Batch norm divides the rounding noise that is left by its own
        size, and the head learns noise.

    Mend:
        Feed two very different images and compare the features layer by layer. Look for a ReLU before the pooling whose
        input is all negative, images that are constant after normalising, a dropout of 1, weights that are all zero.

    Seen in:
        Images divided by 255 twice; a learning rate that killed every ReLU in the first steps.
    """

    def collapsed(s: StepFacts) -> bool:
        return s.batch > 1 and (s.channels_alive <= ALIVE or s.feat_cosine >= SAME)

    seen = compared(steps)
    step = first_run(seen, collapsed, STEPS)
    if step is None or not collapsed(seen[-1]):
        return None
    return Finding(
        f"{step.channels_alive:.1%} of the channels vary within a batch of {step.batch}, and the mean cosine between "
        f"two features is {step.feat_cosine:.4f}, in {STEPS} batches looked at one after the other",
        step=step.step,
    )
