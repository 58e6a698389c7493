"""RS5: mistakes in the model and its features."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fault_bench.faults.gradient_flow import features_with
from fault_bench.faults.register import fault
from fault_bench.parts import Parts, learn, override
from reid_smoke.build.model import BNNeck, BNNeckModel, BNNeckOutput


@fault("classifier-not-fed-by-bnneck", at="model", structural=True, mended_by=("fresh-head", "reference-model"))
def fed_by_the_pooled_feature(parts: Parts) -> None:
    """`feat` and `global_feat` are mixed up; the neck is computed and thrown away."""

    def normalise(self: BNNeck, feature: Tensor) -> Tensor:
        self.bn(feature)
        return feature if self.feat_norm is None else self.feat_norm * F.normalize(feature)

    override(parts.model.bn_neck, normalise=normalise)


@fault(
    "feature-norm-off",
    at="model",
    structural=True,
    not_on=("cosine", "omniglot"),
    mended_by=("fresh-head", "reference-model"),
)
def scaled_before_the_neck(parts: Parts) -> None:
    """The feature is scaled before the batch norm, which undoes it."""
    override(parts.model.bn_neck, normalise=lambda self, feature: self.bn(8.0 * F.normalize(feature)))


@fault("features-collapsed", at="model", structural=True, mended_by=("reference-model",))
def dead_relu_before_the_pooling(parts: Parts) -> None:
    """A ReLU whose input is negative everywhere."""
    features_with(parts, lambda forward, images: torch.relu(forward(images) - 100.0))


@fault("weights-not-loaded", at="plan", structural=True, mended_by=("from-scratch", "reference-model"))
def another_models_checkpoint(parts: Parts) -> None:
    """The checkpoint's names have nothing to do with the model's, and `strict=False` says nothing."""
    path = parts.folder / "pretrained.pth"
    torch.save({f"student.trunk.{i}.kernel": torch.randn(4, 4) for i in range(60)}, path)
    parts.plan["model"]["weights"] = str(path)


@fault("freeze-pattern-matches-nothing", at="plan", structural=True, mended_by=("all-unfrozen", "reference-model"))
def renamed_module(parts: Parts) -> None:
    """The freeze pattern has the module's old name."""
    parts.plan["model"]["freeze"] = [r"^base\.layer1"]


@fault("neck-in-eval", at="model", structural=True, mended_by=("training-mode", "fresh-head", "reference-model"))
def every_batch_norm_in_eval(parts: Parts) -> None:
    """A function that puts batch norms in eval mode finds the neck's, too."""
    override(parts.neck, train=lambda self, mode=True: nn.Module.train(self, False))


@fault("model-in-eval", at="model", structural=True, mended_by=("training-mode", "reference-model"))
def left_in_eval_by_a_validation(parts: Parts) -> None:
    """A validation before the first epoch leaves the model in eval mode."""

    def forward(self: BNNeckModel, images: Tensor) -> BNNeckOutput:  # this model gives its features alone in eval mode
        feature = self.backbone(images)
        logits, bn_feature = self.bn_neck(feature)
        return BNNeckOutput(logits, feature, bn_feature)

    override(parts.model, forward=forward, train=lambda self, mode=True: nn.Module.train(self, False))


@fault("dropout-of-one", at="model", structural=True, mended_by=("no-dropout", "reference-model"))
def keep_probability(parts: Parts) -> None:
    """A share to keep is taken for a share to drop."""
    parts.head = nn.Sequential(nn.Dropout(1.0), parts.head)


@fault("neck-weight-frozen", at="plan", structural=True, mended_by=("all-unfrozen", "fresh-head", "reference-model"))
def whole_neck_frozen(parts: Parts) -> None:
    """The whole neck is frozen where its bias was meant."""
    parts.plan["model"]["freeze"] = [r"^bn_neck\.bn\."]


# Adam goes on at the pace of the run before; what the head had learnt no change brings back.
@fault("resumed-at-chance", at="built", structural=True, mended_by=("reference-optimizer",))
def head_not_saved(parts: Parts) -> None:
    """Resumed from a checkpoint of the backbone and of the optimizer, which lacks the head."""
    fresh = copy.deepcopy(parts.model.state_dict())
    for name, weight in fresh.items():  # another process draws another head: this one's rows, elsewhere
        if name.startswith("bn_neck.classifier"):
            fresh[name] = weight[torch.randperm(len(weight))]
    learn(parts, 100)
    optimizer = copy.deepcopy(parts.optimizer.state_dict())
    saved = {name: w.clone() for name, w in parts.model.state_dict().items() if not name.startswith("bn_neck.")}
    parts.model.load_state_dict(fresh)

    def restore() -> None:
        parts.model.load_state_dict(saved, strict=False)
        parts.optimizer.load_state_dict(optimizer)

    parts.begin_with(restore)


@fault("frozen-as-initialised", at="model", mended_by=("all-unfrozen", "reference-model"))
def new_reduction_caught_by_the_pattern(parts: Parts) -> None:
    """The pattern freezes all but neck and classifier: the new layer that narrows the feature, too."""
    model, width = parts.model, parts.neck.num_features
    model.reduction = nn.Sequential(nn.Linear(width, 8, bias=False), nn.Linear(8, width, bias=False))
    features_with(parts, lambda forward, images: model.reduction(forward(images)))
    parts.plan["model"]["freeze"] = ["^(backbone|reduction)"]
    parts.config = type(parts.config).model_validate(parts.plan)


@fault("images-mixed-up", at="model", mended_by=("reference-model",))
def reshaped_for_transposed(parts: Parts) -> None:
    """The feature is (D, B), and `reshape` makes (B, D) of it where `t()` was meant."""
    features_with(parts, lambda forward, images: (x := forward(images)).t().contiguous().reshape(x.shape))


@fault("images-mixed-up", at="model", mended_by=("reference-model",))
def shuffled_and_not_put_back(parts: Parts) -> None:
    """Features are shuffled over the batch, as for MoCo's batch norm, and stay so."""
    features_with(parts, lambda forward, images: forward(images)[torch.randperm(len(images))])
