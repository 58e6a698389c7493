from reid_smoke.checks._gravity import grave_if_ce_fails
from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import GraphFacts
from reid_smoke.rule import Curve


@check(
    "RS220", slug="right-logit-raised", severity="fail", needs=[GraphFacts], uses=[Curve],
    explains=[
        "RS202", "RS203", "RS204", "RS209", "RS210", "RS216", "RS311", "RS312", "RS401", "RS403", "RS409", "RS512",
    ],
)  # fmt: skip
def right_logit_raised(graphs: list[GraphFacts], curve: Curve) -> Finding | None:
    """The loss raises the right identity's logit: the label helps to answer itself.

    What it means:
        Between the classifier and the loss something is added to the logit of the right identity and to no other. A
        margin does the opposite: it is taken away, so that the model has to earn it. CE is told without it here.

    Why it stops learning:
        The loss is small before anything is learnt, and with it the gradient. What the script shows, loss and accuracy,
        looks splendid, and without the label nothing of it is left.

    Mend:
        Look at the margin's sign. CosFace takes it from the cosine, ArcFace adds it to the angle:

            logits = scale * (cosine - margin * one_hot)
            logits = scale * torch.cos(torch.acos(cosine) + margin * one_hot)

    Seen in:
        Margins written by hand; labels that are handed to the model and come out in its scores.
    """
    last = graphs[-1]
    if not last.right_raised:
        return None
    return Finding(
        f"the right identity's logit is {last.right_raised:.3g} higher in the loss than {last.head or 'the head'} "
        "makes it (mean of a batch), and the others are as it makes them",
        step=last.step,
        severity=grave_if_ce_fails(curve),
    )
