from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import ResumeFacts, StepFacts
from reid_smoke.rule import Curve

TIMES = 10  # what a training feels


@check(
    "RS416", slug="resume-overwrites-lr", severity="fail", when="end", needs=[ResumeFacts, StepFacts, Curve],
    explains=["RS202", "RS203", "RS204", "RS210", "RS401", "RS403"],
)  # fmt: skip
def resume_overwrites_lr(resumes: list[ResumeFacts], steps: list[StepFacts], curve: Curve) -> Finding | None:
    """Loading an optimizer's state brought back an older run's learning rate.

    What it means:
        The optimizer was built with the learning rate that was set. `optimizer.load_state_dict` then put the groups of
        the earlier run in its place, and with them the learning rate at which that run ended.

    Why it stops learning:
        A run ends at a thousandth of its learning rate. On new data, or with a new head, that moves nothing. The other
        way round, a learning rate that was lowered for this run is as high again as before.

    Mend:
        Set the learning rate after loading, or leave the old state where it is if this is another training:

            optimizer.load_state_dict(checkpoint["optimizer"])
            for group, lr in zip(optimizer.param_groups, lrs):
                group["lr"] = group["initial_lr"] = lr

    Seen in:
        Fine-tuning scripts whose `--resume` restores model, optimizer and schedule alike.
    """
    resume = resumes[0]
    before, after = resume.lr_before, resume.lr_after
    if not before or after is None or curve.word not in ("flat", "slow", "rises", "broken"):
        return None
    used = [s.lr_head for s in steps if s.applied and s.lr_head is not None and s.step <= curve.rule.window[1]]
    if not used or not (max(used) <= before / TIMES or min(used) >= before * TIMES):
        return None  # a warm-up that has only begun, a decay, or a schedule that set it right again
    if not _is_another(before, after):
        return None
    if resume.lr_loaded is not None and not _is_another(before, resume.lr_loaded):
        return None  # an optimizer that was given its own state again; a schedule set the rate since
    age = f", {resume.updates} steps old," if resume.updates is not None else ""
    return Finding(
        f"the head's group was built with lr {before:.3g}; after {resume.optimizer}'s state was loaded at "
        f"{resume.where}{age} it is {after:.3g}, and {used[-1]:.3g} at the window's end",
        step=resume.step,
    )


def _is_another(before: float, after: float) -> bool:
    return after <= before / TIMES or after >= before * TIMES
