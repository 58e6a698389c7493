from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.rule import DEFAULT_WINDOW, Curve, crossing_step


@check("RS203", slug="ce-falls-too-slowly", severity="fail", when="end", needs=[Curve])
def ce_falls_too_slowly(curve: Curve) -> Finding | None:
    """CE falls, but too slowly.

    What it means:
        Something is learnt, but after 4 looks at every identity a third of them is still not ruled out.

    Why it stops learning:
        It does not; it takes far longer than it should. Mostly the head's learning rate is too small for a head that
        starts from nothing, or the features hardly tell people apart yet.

    Mend:
        Give the head a learning rate of its own, 1e-2 with AdamW, and the backbone 1e-5 while the head warms up. Start
        from pretrained weights where there are some. Where the evidence names a later window, try that first.

    Seen in:
        IRRA #9 (the advice was the classifier's learning rate); open-reid #84 (not pretrained).
    """
    if curve.word != "slow" or curve.ce.window_mean is None or curve.rule.max_ce is None:
        return None
    rule, ce = curve.rule, curve.ce
    step = crossing_step(curve)
    when = f"at {ce.trend_per_100_steps:+.3f} per 100 steps it crosses at step {step}" if step else "it does not cross"
    begin, end = rule.window
    if step and step <= end:
        when += f", before the window's end: its mean is over the bar, see --window {end}:{2 * end - begin}"
    elif step and step <= DEFAULT_WINDOW[1]:
        when += f", within the usual window: see --window {DEFAULT_WINDOW[0]}:{DEFAULT_WINDOW[1]}"
    return Finding(
        f"CE {ce.window_mean:.2f} over steps {rule.window[0]} to {rule.window[1]}, bar {rule.max_ce:.2f}; {when}; "
        f"{rule.looks or 0:.1f} looks per identity",
        step=rule.window[1],
    )
