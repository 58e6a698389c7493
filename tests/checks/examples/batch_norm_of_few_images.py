from tests.checks.two_ranks import TwoRanks


class FourImagesEach(TwoRanks):
    batch_size = 4
    steps = 60
    window = (40, 60)


class EightImagesEach(TwoRanks):
    seed = 1


SICK = [FourImagesEach]
HEALTHY = [EightImagesEach]
