from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.tiny import Model, TinyTraining


class FedByThePooledFeature(TinyTraining):
    """`feat` and `global_feat` mixed up; the neck is computed and thrown away."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        global_feat = self.model.base(images)
        self.model.bottleneck(global_feat)
        return F.cross_entropy(self.model.classifier(8 * F.normalize(global_feat)), labels)


class NoNeckAtAll(TinyTraining):
    """torchreid's models have none, and that is no fault."""

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.bottleneck = nn.Identity()
        model.bottleneck.bias = nn.Parameter(model.classifier.weight.new_zeros(1), requires_grad=False)
        return model


SICK = [FedByThePooledFeature]
HEALTHY = [NoNeckAtAll]
