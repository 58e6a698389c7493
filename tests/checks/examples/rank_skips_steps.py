from tests.checks.two_ranks import TwoRanks


class OnTheSecondAlone(TwoRanks):
    """The second rank leaves out every fourth step, as by a look at its own loss."""

    skipping = (1,)

    def apply(self) -> None:
        if self.rank not in self.skipping or self.step_number % 4:
            super().apply()


class OnBoth(OnTheSecondAlone):
    skipping = (0, 1)


SICK = [OnTheSecondAlone]
HEALTHY = [OnBoth]
