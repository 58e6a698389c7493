from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.rule import Curve


@check("RS204", slug="ce-rises", severity="fail", when="end", needs=[Curve])
def ce_rises(curve: Curve) -> Finding | None:
    """CE has climbed above where it began.

    What it means:
        The model is now surer of wrong answers than guessing would be.

    Why it stops learning:
        What is learnt does not hold for the next images, or every step overshoots. In the first case CE stays within
        a nat of chance: labels that do not fit, or images in which the model sees nobody. In the second it climbs on.

    Mend:
        Look at ten images beside their labels. Divide the learning rate by ten. Where the head's learning rate is 1e-2
        by intent, scale the BN feature to a norm of 8, so that the logits stay bounded.

    Seen in:
        MAR #5; a head at 1e-2 on features of norm 31, where CE went from 6.0 to 15 in 300 steps.
    """
    if curve.word != "rises" or curve.ce.window_mean is None or curve.ce.first is None:
        return None
    return Finding(
        f"CE {curve.ce.first:.2f} at the start, {curve.ce.window_mean:.2f} over steps "
        f"{curve.rule.window[0]} to {curve.rule.window[1]}",
        step=curve.rule.window[1],
    )
