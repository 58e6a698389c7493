import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.memory_bank import Follow, MemoryBank
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


class HybridMemory(MemoryBank):
    """Two entries of a memory for each class, whose scores are gathered into the class's; the softmax is by hand."""

    def make_model(self) -> nn.Module:
        model = super().make_model()
        self.memory = F.normalize(torch.randn(2 * self.identities, 512))
        return model

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        scores = Follow.apply(self.model(images), 2 * labels + torch.randint(2, labels.shape), self.memory) / 0.1
        of_entries = torch.arange(self.identities).repeat_interleave(2)
        sums = torch.zeros(self.identities, len(labels)).index_add(0, of_entries, scores.T.contiguous())
        there = (sums / 2).T.exp() * torch.ones(len(labels), self.identities)
        return F.nll_loss((there / (there.sum(1, keepdim=True) + 1e-6) + 1e-6).log(), labels)


SICK = [FedByThePooledFeature]
HEALTHY = [HybridMemory, NoNeckAtAll]
