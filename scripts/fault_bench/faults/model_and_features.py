"""RS5: mistakes in the model and its features."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fault_bench.faults.gradient_flow import features_with
from fault_bench.faults.register import fault
from fault_bench.parts import Parts, learn
from reid_smoke.build.model import BNNeckOutput


@fault("classifier-not-fed-by-bnneck", at="model", structural=True)
def fed_by_the_pooled_feature(parts: Parts) -> None:
    """`feat` and `global_feat` are mixed up; the neck is computed and thrown away."""
    bn_neck = parts.model.bn_neck

    def normalise(feature: Tensor) -> Tensor:
        bn_neck.bn(feature)
        return feature if bn_neck.feat_norm is None else bn_neck.feat_norm * F.normalize(feature)

    bn_neck.normalise = normalise  # type: ignore[method-assign]


@fault("feature-norm-off", at="model", structural=True, not_on=("cosine", "omniglot"))
def scaled_before_the_neck(parts: Parts) -> None:
    """The feature is scaled before the batch norm, which undoes it."""
    bn_neck = parts.model.bn_neck
    bn_neck.normalise = lambda feature: bn_neck.bn(8.0 * F.normalize(feature))  # type: ignore[method-assign]


@fault("features-collapsed", at="model", structural=True)
def dead_relu_before_the_pooling(parts: Parts) -> None:
    """A ReLU whose input is negative everywhere."""
    features_with(parts, lambda forward, images: torch.relu(forward(images) - 100.0))


@fault("weights-not-loaded", at="plan", structural=True)
def another_models_checkpoint(parts: Parts) -> None:
    """The checkpoint's names have nothing to do with the model's, and `strict=False` says nothing."""
    path = parts.folder / "pretrained.pth"
    torch.save({f"student.trunk.{i}.kernel": torch.randn(4, 4) for i in range(60)}, path)
    parts.plan["model"]["weights"] = str(path)


@fault("freeze-pattern-matches-nothing", at="plan", structural=True)
def renamed_module(parts: Parts) -> None:
    """The freeze pattern has the module's old name."""
    parts.plan["model"]["freeze"] = [r"^base\.layer1"]


@fault("neck-in-eval", at="model", structural=True)
def every_batch_norm_in_eval(parts: Parts) -> None:
    """A function that puts batch norms in eval mode finds the neck's, too."""
    neck = parts.neck
    neck.train = lambda mode=True: nn.Module.train(neck, False)  # type: ignore[method-assign]


@fault("model-in-eval", at="model", structural=True)
def left_in_eval_by_a_validation(parts: Parts) -> None:
    """A validation before the first epoch leaves the model in eval mode."""
    model = parts.model

    def forward(images: Tensor) -> BNNeckOutput:
        feature = model.backbone(images)
        logits, bn_feature = model.bn_neck(feature)
        return BNNeckOutput(logits, feature, bn_feature)

    model.forward = forward  # type: ignore[method-assign]  # this model gives its features alone in eval mode
    model.train = lambda mode=True: nn.Module.train(model, False)  # type: ignore[method-assign]


@fault("dropout-of-one", at="model", structural=True)
def keep_probability(parts: Parts) -> None:
    """A share to keep is taken for a share to drop."""
    parts.head = nn.Sequential(nn.Dropout(1.0), parts.head)


@fault("neck-weight-frozen", at="plan", structural=True)
def whole_neck_frozen(parts: Parts) -> None:
    """The whole neck is frozen where its bias was meant."""
    parts.plan["model"]["freeze"] = [r"^bn_neck\.bn\."]


@fault("resumed-at-chance", at="built", structural=True)
def head_not_saved(parts: Parts) -> None:
    """Resumed from a checkpoint of the backbone and of the optimizer, which lacks the head."""
    fresh = copy.deepcopy(parts.model.state_dict())
    learn(parts, 100)
    optimizer = copy.deepcopy(parts.optimizer.state_dict())
    saved = {name: w.clone() for name, w in parts.model.state_dict().items() if not name.startswith("bn_neck.")}
    parts.model.load_state_dict(fresh)

    def restore() -> None:
        parts.model.load_state_dict(saved, strict=False)
        parts.optimizer.load_state_dict(optimizer)

    parts.begin_with(restore)


@fault("frozen-as-initialised", at="model")
def new_reduction_caught_by_the_pattern(parts: Parts) -> None:
    """The pattern freezes all but neck and classifier: the new layer that narrows the feature, too."""
    model, width = parts.model, parts.neck.num_features
    model.reduction = nn.Sequential(nn.Linear(width, 8, bias=False), nn.Linear(8, width, bias=False))
    features_with(parts, lambda forward, images: model.reduction(forward(images)))
    parts.plan["model"]["freeze"] = ["^(backbone|reduction)"]
    parts.config = type(parts.config).model_validate(parts.plan)
