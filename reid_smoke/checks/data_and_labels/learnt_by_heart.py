from math import isfinite, log
from statistics import fmean

from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.data_and_labels._coverage import overfits
from reid_smoke.checks.loss_and_logits.relu_on_logits import are_never_negative
from reid_smoke.facts import GraphFacts, ParameterFacts, RunFacts, StepFacts
from reid_smoke.rule import BELOW_CHANCE, ENOUGH_LOOKS
from reid_smoke.trend import standard_error

WIDE = 0.3  # spread of the logits, and twice that of the start: the head has learnt something, and answers with it
AT_CHANCE = 0.02  # nats below log C that count as nothing; who learns nothing is surer than right, and lies above it
OVERSHOOT = 0.7  # nats around log C: what logits of WIDE and somewhat more cost where they mean nothing
EPOCH = 30  # steps: within fewer, a training that has just begun to learn looks alike
STEPS = 5  # of the second epoch


@check(
    "RS115", slug="learnt-by-heart", severity="fail", when="end", needs=[StepFacts, GraphFacts],
    uses=[RunFacts, ParameterFacts], explains=["RS202", "RS203", "RS204", "RS403"],
)  # fmt: skip
def learnt_by_heart(
    steps: list[StepFacts],
    graphs: list[GraphFacts],
    runs: list[RunFacts],
    parameters: list[ParameterFacts],
) -> Finding | None:
    """Labels are only learnt by heart: nothing carries over to the next image.

    What it means:
        In the first epoch, where every image is new, nothing that was learnt helped with the next image: CE stayed at
        chance after several looks at every identity. In the second, where every image has been seen before, CE fell at
        once. So images are recognised one by one, and the people in them are not.

    Why it stops learning:
        It learns, but not what was meant: each image's own label by heart. Labels that were shuffled against their
        images do that, as does a list of paths that was sorted while the list of labels was not. So do images in which
        the model sees nobody: too small, too noisy, or too hard for a backbone that starts from scratch.

    Mend:
        Put ten images beside their labels and look. If they fit, start from pretrained weights. If not, keep path and
        label in one tuple, and sort or shuffle those:

            samples = sorted((path, pid) for path, pid in zip(paths, pids))

    Seen in:
        torchreid PR #294 (label order varies by machine); a comparison of eight tools over 23 faults, in which none
        named permuted labels.
    """
    first = [s for s in steps if s.epoch == 1]
    second = [s for s in steps if s.epoch == 2]
    if (
        overfits(runs)
        or _backbone_frozen(parameters)  # on purpose: what its features carry over, no training decides
        or are_never_negative(graphs[-1])  # a wrong identity that cannot be pushed down keeps CE up on new images
        or len(first) < EPOCH
        or len(second) < STEPS
        or not all(isfinite(s.ce) for s in (*first, *second))
    ):
        return None
    classes = graphs[-1].num_classes
    early, late = first[: len(first) // 3], first[2 * len(first) // 3 :]
    soon = second[: max(STEPS, len(second) // 5)]
    before, after = fmean(s.ce for s in late), fmean(s.ce for s in soon)
    looks = sum(s.batch for s in first) / classes
    # A healthy training has fallen by then: four looks are what the rule waits for.
    unlearnt = looks >= ENOUGH_LOOKS and before > log(classes) - AT_CHANCE
    # Far above chance something else is wrong, or a large random head is still on its way down.
    calm = all(abs(mean - log(classes)) < OVERSHOOT for mean in (before, fmean(s.ce for s in early)))
    wide = fmean(s.logit_std for s in late) >= max(WIDE, 2 * fmean(s.logit_std for s in first[:3]))
    noise = 3 * standard_error([s.ce for s in late])
    if not (unlearnt and calm and wide and before - after > max(BELOW_CHANCE, noise)):
        return None
    return Finding(
        f"CE {before:.2f} at the end of epoch 1, on new images after {looks:.1f} looks per identity "
        f"(log {classes} = {log(classes):.2f}), and {after:.2f} as soon as the same images come again",
        step=soon[-1].step,
    )


def _backbone_frozen(parameters: list[ParameterFacts]) -> bool:
    backbone = [p for p in parameters[-1].parameters if p.role == "backbone"] if parameters else []
    return bool(backbone) and not any(p.requires_grad for p in backbone)
