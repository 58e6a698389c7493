"""A loss of the user's own: imported by name, tried on a small batch, and put in CE's place.

ArcFace, CosFace and their kin hold the classifier's weight, take features and labels, and give either the loss itself
or the logits with the margin in them, of which CE is taken here. The CE that is judged is read from the graph, as in
anybody's training: there the margin is taken out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from reid_smoke.build.losses import TrainingLoss
from reid_smoke.build.model import BNNeckOutput
from reid_smoke.build.outputs import shapes
from reid_smoke.build.targets import CLASS_ARGUMENTS, make_module, show, signature_of
from reid_smoke.build.understanding import SAMPLES, trial
from reid_smoke.config.schema import LossConfig
from reid_smoke.errors import ModelError, in_a_line

OUT_ARGUMENTS = (*CLASS_ARGUMENTS, "out_features", "out_feature", "classnum")
IN_ARGUMENTS = ("in_features", "in_feature", "feat_dim", "feature_dim", "embedding_size", "embedding_dim", "in_planes")


class OwnLoss(TrainingLoss):
    """`criterion` in CE's place; SDM beside it as ever.

    criterion: given what `call` says; a scalar, or logits (B, C) that CE is taken of, comes back.
    """

    def __init__(self, criterion: nn.Module, config: LossConfig, instances: int | None) -> None:
        super().__init__(config.label_smoothing, config.sdm_weight, instances)
        self._config = config
        # No part of this module: a report calls the weights by the name of the user's class.
        self._criterion = (criterion,)

    @property
    def holds_head(self) -> bool:
        """The classifier lives in the criterion."""
        return self._config.holds_head

    @property
    def criterion(self) -> nn.Module:
        return self._criterion[0]

    def over(self, criterion: nn.Module) -> OwnLoss:
        """The same of another module: of what keeps the criterion the same on all ranks, say."""
        return OwnLoss(criterion, self._config, self.instances)

    def ask(self, output: BNNeckOutput, labels: Tensor) -> Any:
        """Whatever the criterion returns."""
        if self._config.call == "logits, labels":
            return self.criterion(output.logits, labels)
        if self._config.call == "features":
            return self.criterion(output.bn_feature)
        return self.criterion(output.bn_feature, labels)

    def _identity_loss(self, output: BNNeckOutput, labels: Tensor) -> Tensor:
        result: Tensor = self.ask(output, labels)
        return self._ce(result, labels) if result.ndim == 2 else result.reshape(())


def make_own_loss(config: LossConfig, num_classes: int, width: int, instances: int | None) -> OwnLoss:
    """The loss of `config.target`, on the CPU; the number of classes and the feature's width are filled in.

    width: D of the features, where they are what it is given. It has been called once, with noise; its
    buffers and the random generator are as before. Raises ModelError as `make_module` does, and where it does not take
    the call, gives neither a scalar nor logits, gives what no gradient goes back from, or holds no classifier where it
    should.
    """
    assert config.target is not None
    filled = dict.fromkeys(OUT_ARGUMENTS, num_classes)
    if config.holds_head:
        filled |= dict.fromkeys(IN_ARGUMENTS, width)
    criterion = make_module("loss", config.target, config.cwd, config.kwargs, filled).train()
    if config.holds_head and head_of(criterion, num_classes) is None:
        raise ModelError(
            f"loss.target: {config.target} has no weight that is trained, and called with {config.call} it is to hold "
            "the classifier. Of a loss on the logits of a model's own classifier, say loss.call: 'logits, labels'"
        )
    loss = OwnLoss(criterion, config, instances)
    generator = torch.Generator().manual_seed(0)
    given = torch.randn(SAMPLES, num_classes if not config.holds_head else width, generator=generator)
    given.requires_grad_()
    labels = torch.arange(SAMPLES) // 2 % num_classes
    with trial(criterion):
        try:
            result = loss.ask(BNNeckOutput(given, given, given), labels)
        except Exception as error:  # their loss's own
            show(error)
            signature = signature_of(criterion.forward)
            raise ModelError(
                f"loss.call: {config.target} was called with ({config.call}), {tuple(given.shape)} and "
                f"{tuple(labels.shape)}, and raised {in_a_line(error)}."
                + (f" Its forward takes {signature}" if signature is not None else "")
            ) from error
    _check(result, config, num_classes)
    return loss


def _check(result: Any, config: LossConfig, num_classes: int) -> None:
    is_scalar = isinstance(result, Tensor) and result.numel() == 1
    if not is_scalar and not (isinstance(result, Tensor) and result.shape == (SAMPLES, num_classes)):
        raise ModelError(
            f"loss.target: {config.target} gives {shapes(result)} for {SAMPLES} images, neither a scalar nor logits of "
            f"{num_classes} identities, ({SAMPLES}, {num_classes})"
        )
    if not result.requires_grad:
        raise ModelError(
            f"loss.target: no gradient goes back from what {config.target} gives: it is detached, or computed under "
            "no_grad"
        )
    if is_scalar and config.label_smoothing > 0:
        raise ModelError(
            f"loss.label_smoothing: {config.target} gives the loss itself, and nothing is left to smooth here. "
            "Give it by loss.kwargs"
        )


def head_of(criterion: nn.Module, num_classes: int) -> str | None:
    """The name of the classifier's weight, with the criterion's class before it; None where nothing could be one."""
    named = [(n, p) for n, p in criterion.named_parameters(type(criterion).__name__) if p.ndim >= 2 and p.requires_grad]
    return next((n for n, p in named if num_classes in p.shape), named[0][0] if named else None)
