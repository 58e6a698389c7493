from reid_smoke.checks.catalogue import Finding, check
from reid_smoke.facts import StepFacts
from reid_smoke.rule import Curve

# Of its largest value: two divisions by ten, which rounding leaves a little above, belong to the end of a training, not
# to its first 300 steps.
LEFT = 0.01 * (1 + 1e-6)
EARLY = 0.8  # of the steps: a schedule over a short training, whole, is spent only towards its end (a cosine: 0.94)
AT_FULL = 0.6  # of the steps, counted at the full rate: enough for CE to show whether anything is learnt


@check(
    "RS408", slug="lr-decays-to-nothing", severity="fail", when="end", needs=[StepFacts],
    uses=[Curve], explains=["RS202", "RS203", "RS401", "RS402"],
)  # fmt: skip
def lr_decays_to_nothing(steps: list[StepFacts], curve: Curve) -> Finding | None:
    """The learning rate is spent before the training has begun.

    What it means:
        The head's learning rate was alive at first, and has fallen to a hundredth of that or less within the window: a
        schedule that was written in epochs is stepped once a batch.

    Why it stops learning:
        After a few dozen steps there is no learning rate left, long before every identity was seen.

    Mend:
        Step the scheduler where its numbers are counted: milestones of 40 and 70 epochs once per epoch, outside of the
        inner loop.

            for epoch in range(epochs):
                for images, labels in loader:
                    ...
                scheduler.step()

    Seen in:
        `MultiStepLR([40, 70])` and `CosineAnnealingLR(T_max=epochs)` stepped within the inner loop.
    """
    rates = [(s.lr_head, s.step) for s in steps if s.lr_head is not None]
    if len(rates) < 2 or curve.word not in ("flat", "slow"):
        return None
    most, where = max(rates, key=lambda rate: rate[0])
    last = rates[-1][0]
    spent = next((step for rate, step in rates if step > where and rate <= LEFT * most), None)
    if not most or last > LEFT * most or spent is None:
        return None
    at_full = sum(rate for rate, _ in rates) / most
    if spent > EARLY * rates[-1][1] or at_full > AT_FULL * len(rates):
        return None  # CE stood while the rate was there
    return Finding(
        f"head lr {most:.3g} at step {where}, a hundredth of it or less from step {spent}, {last:.2g} at the end; "
        f"CE {curve.ce.window_mean:.2f}",
        step=spent,
    )
