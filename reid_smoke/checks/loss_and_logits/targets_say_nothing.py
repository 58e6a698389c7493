from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import typical
from reid_smoke.facts import GraphFacts, StepFacts
from reid_smoke.rule import Curve

ALIKE = 1.5  # times 1/C, of the likeliest identity: nobody is preferred
HARDLY = 0.15  # what smoothing leaves of the label; mixup of two and smoothing still leave it 0.4


@check(
    "RS217", slug="targets-say-nothing", severity="fail", when="end", needs=[StepFacts, GraphFacts], uses=[Curve],
    explains=["RS105", "RS106", "RS110", "RS202", "RS203", "RS204", "RS311", "RS312", "RS401", "RS403", "RS503"],
)  # fmt: skip
def targets_say_nothing(steps: list[StepFacts], graphs: list[GraphFacts], curve: Curve) -> Finding | None:
    """The loss's targets prefer nobody, and no labels are beside them.

    What it means:
        The loss is given soft targets, and in them every identity is about as likely as any other: they come from a
        teacher that has learnt nothing, or are smoothed until next to nothing is left of the label: a confidence of 0.9
        was given as the smoothing. No loss is given the labels themselves:
        CE was left out of the sum, or is computed from the teacher's scores, through which no gradient goes.

    Why it stops learning:
        Who fits targets that are the same for everybody learns to tell nobody apart.

    Mend:
        Give the student's own scores to CE, and add it to what the teacher says:

            loss = F.cross_entropy(student_scores, labels) + weight * consistency(student_scores, teacher_scores)

        Load the teacher's weights, and look at its accuracy before distilling from it. Smooth with 0.1, not 0.9.

    Seen in:
        A mean teacher and its student whose scores were mixed up; teachers whose checkpoint never arrived.
    """
    recent, classes = steps[-20:], graphs[-1].num_classes
    largest = typical(recent, "target_top")
    if largest is None or classes < 3 or largest > max(ALIKE / classes, HARDLY):
        return None
    no_labels = all(step.batch == 0 for step in recent)  # nothing to measure CE with, so that no curve can speak
    if not no_labels and grave_if_ce_fails(curve) == "warn":
        return None
    return Finding(
        f"in the targets the likeliest identity has {largest:.2%} (median of {len(recent)} steps), where one of "
        f"{classes} has {1 / classes:.2%} by chance",
        step=steps[-1].step,
    )
