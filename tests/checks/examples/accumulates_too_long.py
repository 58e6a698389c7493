from tests.checks.examples.optimizer_never_steps import Accumulates


class CountedInImages(Accumulates):
    """64 was meant to be images, four batches of 16, and is batches."""

    accumulate = 32
    lr_head = 1e-3


class ByEight(Accumulates):
    accumulate = 8
    steps = 200
    window = (120, 200)


SICK = [CountedInImages]
HEALTHY = [ByEight]
