from math import nan

from torch import Tensor

from tests.checks.two_ranks import TwoRanks


class OneBadImage(TwoRanks):
    """At step 12 the second rank's batch holds a pixel that is no number."""

    bad_step = 12

    def spoiled(self, images: Tensor, rank: int) -> Tensor:
        if rank == 1 and self.step_number == self.bad_step:
            images = images.clone()
            images[0, 0, 0, 0] = nan
        return images

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(self.spoiled(images, self.rank), labels)

    def others_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(self.spoiled(images, 1 - self.rank), labels)


class LeftOutByBoth(OneBadImage):
    """As GradScaler does: a gradient that is no number is applied nowhere."""

    def apply(self) -> None:
        if self.step_number != self.bad_step:
            super().apply()


SICK = [OneBadImage]
HEALTHY = [LeftOutByBoth]
