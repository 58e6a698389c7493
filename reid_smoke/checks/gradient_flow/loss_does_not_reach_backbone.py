from math import isfinite

from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.checks.reading import listed
from reid_smoke.facts import GraphFacts, LoopFacts, ParameterFacts, StepFacts
from reid_smoke.rule import Curve

LOOKS = 2
LEARNT = 1e-3  # nats: below, no gradient is left to speak of


@check(
    "RS305", slug="loss-does-not-reach-backbone", severity="fatal", needs=[GraphFacts, ParameterFacts],
    uses=[LoopFacts, Curve, StepFacts], explains=["RS202", "RS203", "RS204", "RS403"], lies_in="model",
)  # fmt: skip
def loss_does_not_reach_backbone(
    graphs: list[GraphFacts],
    parameters: list[ParameterFacts],
    counts: list[LoopFacts],
    curve: Curve,
    steps: list[StepFacts],
) -> Finding | None:
    """The loss has no path to the backbone, although it is trainable.

    What it means:
        The graph behind the loss ends before the backbone, or before its convolutions: the
        feature was detached, or made under `no_grad`, or by a checkpoint with `use_reentrant=True` none of whose
        inputs asks for a gradient; or an autograd.Function of one's own, which makes the logits of a memory, returns no
        gradient for the features. Their parameters ask for gradients and never get one. (A
        backbone frozen with `requires_grad=False` is intent, and fine.) Where another loss trains the backbone, only
        the classifier's input is cut off, which may be meant: that is a warning as long as CE falls.

    Why it stops learning:
        Only the head learns. CE may still fall, on features that never change, and looks just like a frozen backbone.

    Mend:
        Take away the `.detach()` or `torch.no_grad()` around the backbone. If it is meant to be frozen, say so:

            backbone.requires_grad_(False)

        Where a checkpoint stands there:

            checkpoint(block, x, use_reentrant=False)

    Seen in:
        Feature extraction code turned into training code; a stop-gradient meant for another branch.
    """
    last = graphs[-1]
    if not last.backbone_trainable:
        return _beside_the_head(last, counts)
    if last.backbone_reached:
        return (
            _cut_off_further_down(last, parameters[-1], counts)
            or _trained_by_others(last, curve)
            or _swallowed(last, steps, curve)
        )
    if last.asks_at_leaf and (not steps or any(s.backbone_grad_applied > 0 for s in steps)):
        return None  # its gradient may be handed on to the backbone by a backward of its own, as GradCache does
    names = [p.name for p in parameters[-1].parameters if p.role == "backbone" and p.requires_grad and not p.reached]
    path = " <- ".join(last.feature_path) or "nothing: the classifier's input has no gradient history"
    return Finding(
        f"the loss reaches 0 of {last.backbone_trainable} trainable backbone parameters ({listed(names)}); "
        f"behind the classifier's input: {path}",
        step=last.step,
    )


def _beside_the_head(last: GraphFacts, counts: list[LoopFacts]) -> Finding | None:
    """The head is a model of its own, and so nothing else of the same model could be missed."""
    if len(last.cut_off) < last.classifications or last.fed_by != "detached":
        return None
    if counts and counts[-1].other_backwards:  # they may learn from a loss that goes backward by itself
        return None
    given = f"{last.head} is given a feature that has no gradient history, and the loss does not reach"
    if last.left_out:
        return Finding(
            f"{given} {len(last.left_out)} weights beside it that the same optimizer holds ({listed(last.left_out)})",
            step=last.step,
        )
    idle = last.stepped_in_vain
    if not idle:
        return None
    # The features may be kept for the first epochs on purpose: there is time until the window's end to let them go.
    return Finding(
        f"{given} {len(idle)} weights of another optimizer ({listed(idle)}), which steps all the same; no other "
        f"backward was seen that could have reached them",
        step=last.step,
        severity="fail",
    )


def _cut_off_further_down(last: GraphFacts, parameters: ParameterFacts, counts: list[LoopFacts]) -> Finding | None:
    """A few layers before the head are reached, and none of the convolutions that are to be trained."""
    convolutions = [p for p in parameters.parameters if len(p.shape) == 4 and p.requires_grad and p.group is not None]
    if not convolutions or any(p.reached for p in convolutions):
        return None
    if last.cut_off:
        return None  # of several towers one may be trained by another loss: that is one-head-cut-off's
    if last.backbone_reached > last.backbone_trainable / 2:
        return _trunk_of_its_own(last, parameters, len(convolutions), counts)
    return Finding(
        f"the loss reaches {last.backbone_reached} of {last.backbone_trainable} trainable backbone parameters, "
        f"and none of the {len(convolutions)} convolutions that the optimizer holds "
        f"({listed([p.name for p in convolutions])})",
        step=last.step,
    )


def _trunk_of_its_own(
    last: GraphFacts, parameters: ParameterFacts, convolutions: int, counts: list[LoopFacts]
) -> Finding | None:
    """The layers that are reached are a model of their own, and so is the trunk before them, which is not."""
    weights = [p for p in parameters.parameters if len(p.shape) >= 2 and p.requires_grad and p.group is not None]
    missed = [p.name for p in weights if not p.reached and p.role != "head"]
    if 2 * len(missed) <= len(weights):
        return None  # a transformer may be trained on patches that stay as they are
    if not any(p.reached and p.role == "backbone" for p in weights):
        return None  # fp32 masters, say, or another copy: optimizer-holds-a-copy tells of those
    if not counts or counts[-1].other_backwards:
        return None  # they may learn from a loss that goes backward by itself
    return Finding(
        f"the loss reaches {len(weights) - len(missed)} of {len(weights)} weights that optimizers hold, and none of "
        f"the {convolutions} convolutions among them ({listed(missed)}); no other backward was seen that could have",
        step=last.step,
        severity="fail",
    )


def _trained_by_others(last: GraphFacts, curve: Curve) -> Finding | None:
    """Other losses reach the backbone, and CE teaches the head alone."""
    if last.judged not in last.cut_off or not last.head_trainable:
        return None
    return Finding(
        f"no weight is behind the feature that {last.head} is given, and CE trains the head alone; other parts of the "
        f"loss reach {last.backbone_reached} of {last.backbone_trainable} trainable backbone parameters",
        step=last.step,
        severity=grave_if_ce_fails(curve),
    )


def _swallowed(last: GraphFacts, steps: list[StepFacts], curve: Curve) -> Finding | None:
    """The graph has a way, and the function that makes the logits passes nothing on."""
    looks = [s for s in steps if isfinite(s.let_through) and s.ce > LEARNT]
    if len(looks) < LOOKS or any(s.let_through > 0 for s in looks):
        return None
    return Finding(
        f"what makes the logits is an autograd.Function ({' <- '.join(last.logit_path) or 'nothing between'} above it) "
        f"that was given a gradient and returned none for the features, each of the {len(looks)} times it was looked "
        f"at: see which of its inputs the backward returns it for, and `ctx.needs_input_grad`",
        step=looks[-1].step,
        severity=grave_if_ce_fails(curve),
    )
