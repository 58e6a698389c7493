from math import isfinite, log
from statistics import fmean

from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import GraphFacts, ResumeFacts, StepFacts
from reid_smoke.rule import Curve

OLD = 100  # updates; who has taken so many has left chance behind
FIRST = 5  # steps
NEAR_CHANCE = 0.2  # nats below log C


@check(
    "RS510", slug="resumed-at-chance", severity="fail", needs=[ResumeFacts, StepFacts, GraphFacts],
    uses=[Curve], explains=["RS202", "RS203", "RS204", "RS210", "RS403", "RS417"],
    lies_in="optimizer",
)  # fmt: skip
def resumed_at_chance(
    resumes: list[ResumeFacts], steps: list[StepFacts], graphs: list[GraphFacts], curve: Curve
) -> Finding | None:
    """A resumed training begins at chance: its head is not the one that was trained.

    What it means:
        The optimizer's state is that of a run of many steps, and yet the first batches are answered at chance or worse.
        The model was not restored at all, or its head was not saved with it; or the labels stand for other people than
        before.

    Why it stops learning:
        What the backbone knew is pulled apart by the gradients of a head that knows nothing, at learning rates and with
        momenta of a run that was nearly over. It may recover, and what was paid for before is lost all the same. Where
        the optimizer knows nothing of the head, it was made anew on purpose, and this is a warning as long as CE falls.

    Mend:
        Save and load everything that is trained, a head or a loss with weights of its own included, and look at what
        is missing:

            missing, unexpected = model.load_state_dict(checkpoint["model"], strict=False)
            assert not missing, missing

        If the head did come back, sort what the labels are made of: `enumerate(sorted(set(pids)))`, since the order of
        a set is another one in each process.

    Seen in:
        FairMOT #214 (the classifier was not saved: loss 0.60 before, 8.75 after resuming); torchreid PR #294 (label
        order varies by machine).
    """
    resume, first = resumes[0], [s.ce for s in steps[:FIRST]]
    if (resume.updates is not None and resume.updates < OLD) or len(first) < FIRST or not all(map(isfinite, first)):
        return None
    chance = log(graphs[-1].num_classes)
    if fmean(first) < chance - NEAR_CHANCE:
        return None
    brought = "brought" if resume.head_loaded else "did not bring"
    age = f" of {resume.updates} steps" if resume.updates is not None else ""
    of_head = ", the head's own among it," if resume.head_in_state else ""
    return Finding(
        f"{resume.optimizer}'s state{age}{of_head} was loaded at {resume.where}, load_state_dict {brought} the head's "
        f"weight, and CE begins at {fmean(first):.2f} (log {graphs[-1].num_classes} = {chance:.2f})",
        step=steps[FIRST - 1].step,
        severity="fail" if resume.head_in_state else grave_if_ce_fails(curve),
    )
