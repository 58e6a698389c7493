import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.tiny import Backbone, Model, TinyTraining


class NewReductionCaught(TinyTraining):
    """A pattern of all but the classifier catches the new layer that brings the feature to two numbers."""

    def make_model(self) -> Model:
        model = Model(self.identities, width=2)
        model.reduction = nn.Linear(512, 2, bias=False)
        model.base.requires_grad_(False)
        model.reduction.requires_grad_(False)
        return model

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = self.model.neck(self.model.reduction(self.model.base(images)))
        return F.cross_entropy(self.model.classifier(feature), labels)


class OfATrainedBackbone(NewReductionCaught):
    """The images pass it on their way, though the backbone before it learns."""

    def make_model(self) -> Model:
        model = super().make_model()
        model.base.requires_grad_(True)
        return model


class BesideALossThatHoldsTheHead(TinyTraining):
    """As in pytorch-metric-learning: the class weights are the loss's own, and the whole model is frozen."""

    def make_model(self) -> nn.Module:
        narrow = nn.Linear(512, 2, bias=False)
        return nn.Sequential(Backbone(), narrow, nn.BatchNorm1d(2, affine=False)).requires_grad_(False)

    def make_optimizer(self) -> torch.optim.Optimizer:
        self.criterion = nn.Linear(2, self.identities, bias=False)
        groups = [{"params": self.model.parameters()}, {"params": self.criterion.parameters(), "lr": self.lr_head}]
        return torch.optim.AdamW(groups, self.lr_backbone)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.criterion(self.model(images)), labels)


class BesideALossAndLetGoOfOnPurpose(BesideALossThatHoldsTheHead):
    """Features of a random model that serve; only the loss learns."""

    def make_model(self) -> nn.Module:
        return nn.Sequential(Backbone(), nn.BatchNorm1d(512, affine=False)).requires_grad_(False)

    def make_optimizer(self) -> torch.optim.Optimizer:
        self.criterion = nn.Linear(512, self.identities, bias=False)
        return torch.optim.AdamW(self.criterion.parameters(), self.lr_head)


class FrozenOnPurpose(TinyTraining):
    """A random backbone that serves: CE falls."""

    def after_building(self) -> None:
        self.model.base.requires_grad_(False)


class FrozenAndTrained(TinyTraining):
    """Weights that no initialisation draws: their tails are longer."""

    def after_building(self) -> None:
        for parameter in self.model.base.parameters():
            if parameter.dim() >= 2:
                with torch.no_grad():
                    parameter.copy_(parameter * (1 + 3 * torch.rand_like(parameter).pow(4)))
            parameter.requires_grad_(False)


SICK = [NewReductionCaught, OfATrainedBackbone, BesideALossThatHoldsTheHead]
HEALTHY = [FrozenOnPurpose, FrozenAndTrained, BesideALossAndLetGoOfOnPurpose]
