import torch

from reid_smoke.build.data.samplers import PKSampler
from reid_smoke.build.losses import TrainingLoss
from reid_smoke.facts import AnyFact, HandoverFacts
from reid_smoke.probes.positives import count_positives
from tests.checks.tiny import TinyTraining


class OfOneImage(TinyTraining):
    """PK batches of a set in which `singles` of 12 identities have one image, and all others four."""

    singles = 4

    def known_beforehand(self) -> list[AnyFact]:
        labels = [who for who in range(12) for _ in range(1 if who < self.singles else 4)]
        views = TrainingLoss(instances=4).two_views
        facts: list[AnyFact] = []
        for step, plan in enumerate(PKSampler(labels, identities_per_batch=4, images_per_identity=4, seed=0), 1):
            pictures = torch.tensor(plan.indices)
            rows, without, one = count_positives(views(torch.tensor(labels)[pictures])[0], views(pictures))
            counts = {"rows": rows, "rows_without_positive": without, "rows_with_one_positive": one}
            facts.append(HandoverFacts(step=step, steps=1, weight=0.1, ce=1.0, sdm=1.0, images=16, **counts))
        return facts


class OneInTwelve(OfOneImage):
    singles = 1


SICK = [OfOneImage]
HEALTHY = [OneInTwelve]
