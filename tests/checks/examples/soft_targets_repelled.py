from torch import Tensor
from torch.nn import functional as F

from tests.checks.tiny import TinyTraining


class Distilled(TinyTraining):
    """A teacher that is right, and fairly sure of it."""

    weight = 1.0

    def after_building(self) -> None:
        self.knows = 0.8

    def teacher(self, labels: Tensor) -> Tensor:  # (B,) -> (B, C)
        return F.one_hot(labels, self.identities) * self.knows + (1 - self.knows) / self.identities

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        score, _ = self.model(images)
        of_teacher = F.kl_div(score.log_softmax(1), self.teacher(labels), reduction="batchmean")
        return F.cross_entropy(score, labels) + self.weight * of_teacher


class WithAMinus(Distilled):
    weight = -1.0


class WithALargeMinus(Distilled):
    """The whole of it leads uphill."""

    weight = -4.0


class SureAnswersPenalised(Distilled):
    """Less a tenth of the entropy: the odds are the logits' own."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        log_probs = self.model(images)[0].log_softmax(1)
        entropy = -(log_probs.exp() * log_probs).sum(1).mean()
        return F.nll_loss(log_probs, labels) - 0.1 * entropy


SICK = [WithAMinus, WithALargeMinus]
HEALTHY = [Distilled, SureAnswersPenalised]
