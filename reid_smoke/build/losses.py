"""What is minimised: cross-entropy over identities, and SDM between two views of each identity where asked for."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reid_smoke.build.image_text import ImageTextOutput
from reid_smoke.build.model import BNNeckOutput
from reid_smoke.build.sdm import sdm_loss
from reid_smoke.errors import UsageError


class TrainingLoss(nn.Module):
    """What is minimised, called with a model's output and the labels.

    Label-smoothed CE on the logits, plus `sdm_weight` times SDM on the BN features; SDM is not computed at weight 0.

    `instances`: K of PK sampling, needed for SDM alone; None of pairs of image and caption. The batch must hold its
    identities one after another, K images of each. Images 0, 2, 4, ... of an identity are view a, images 1, 3, 5, ...
    view b; the last of an odd K is left out. BN features, since SDM compares by cosine, and it is behind the neck that
    cosines mean something (Luo et al. 2019).

    Of pairs of image and caption: CE on both sides, added up, and SDM between the two sides' BN features. Every row is
    a pair, so that no PK batch is needed.

    Raises UsageError for SDM with fewer than two images of an identity.
    """

    def __init__(self, label_smoothing: float = 0.0, sdm_weight: float = 0.0, instances: int | None = 1) -> None:
        super().__init__()
        if sdm_weight > 0 and instances is not None and instances < 2:
            raise UsageError(
                f"loss.sdm_weight compares two views of each identity, but data.instances is {instances}: "
                "give at least 2 images of an identity in a batch, or set loss.sdm_weight to 0"
            )
        self.label_smoothing = label_smoothing
        self.sdm_weight = sdm_weight
        self.instances = instances

    def forward(self, output: BNNeckOutput | ImageTextOutput | Tensor, labels: Tensor) -> Tensor:
        """Model output and labels (B,) int64 in 0..C-1 -> a scalar in nats. A scalar is a loss already."""
        if isinstance(output, Tensor):
            return output
        loss, sdm = self.parts(output, labels)
        return loss if sdm is None else loss + self.sdm_weight * sdm

    def parts(self, output: BNNeckOutput | ImageTextOutput, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """CE as it is minimised, of both sides where there are two, and SDM without its weight; None at weight 0."""
        if isinstance(output, ImageTextOutput):
            ce = self._ce(output.image.logits, labels) + self._ce(output.text.logits, labels)
        else:
            ce = self._identity_loss(output, labels)
        return ce, sdm_loss(*self.two_sides(output, labels)) if self.sdm_weight > 0 else None

    def two_sides(self, output: BNNeckOutput | ImageTextOutput, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What SDM compares: features a and b (B', D), and the labels (B',) of both; B' = B of image and text."""
        if isinstance(output, ImageTextOutput):
            return output.image.bn_feature, output.text.bn_feature, labels
        return *self.two_views(output.bn_feature), self.two_views(labels)[0]

    def two_views(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows (B, ...) of a batch of images -> those of view a and of view b, (B', ...); B' = B/K * floor(K/2)."""
        assert self.instances is not None, "pairs of image and caption are no views of one image's identity"
        pairs = self.instances // 2 * 2
        by_identity = rows.reshape(-1, self.instances, *rows.shape[1:])[:, :pairs]  # (P, K or K-1, ...)
        return by_identity[:, 0::2].flatten(0, 1), by_identity[:, 1::2].flatten(0, 1)

    def _identity_loss(self, output: BNNeckOutput, labels: Tensor) -> Tensor:
        return self._ce(output.logits, labels)

    def _ce(self, logits: Tensor, labels: Tensor) -> Tensor:
        # Under AMP the logits come in half precision, in which a softmax over many classes loses digits.
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # (B, C)
        return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
