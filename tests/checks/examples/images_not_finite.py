from tests.checks.tiny import Crops, TinyTraining


class StandardisedBlank(TinyTraining):
    """Each image is divided by its own spread; some are blank."""

    def make_dataset(self) -> Crops:
        crops = Crops(self.identities)
        crops.images[::4] = 0.0
        crops.images /= crops.images.std((1, 2, 3), keepdim=True)
        return crops


class Standardised(TinyTraining):
    def make_dataset(self) -> Crops:
        crops = Crops(self.identities)
        crops.images /= crops.images.std((1, 2, 3), keepdim=True).clamp_min(1e-6)
        return crops


SICK = [StandardisedBlank]
HEALTHY = [Standardised]
