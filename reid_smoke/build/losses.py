"""What is minimised: cross-entropy over identities, and SDM between two views of each identity where asked for."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reid_smoke.build.image_text import ImageTextOutput
from reid_smoke.build.model import BNNeckOutput
from reid_smoke.errors import UsageError


def sdm_loss(features_a: Tensor, features_b: Tensor, pids: Tensor, logit_scale: float = 50.0) -> Tensor:
    """Similarity distribution matching between two views of the same B samples; a scalar, in nats.

    `features_a`, `features_b`: (B, D), row i of either shows the identity `pids[i]`; they are L2-normalised here.
    `pids`: (B,), integers. `logit_scale`: 1 / temperature, 1/0.02 as published.

    From Jiang & Ye, "Cross-Modal Implicit Relation Reasoning and Aligning for Text-to-Image Person Retrieval" (IRRA,
    CVPR 2023), equations 4 to 6: with S = scale * a b^T, p = softmax(S) over a row, and q the row of [pid_i == pid_j]
    divided by its sum, the loss of one direction is the mean over rows of KL(p || q) = sum_j p (log p - log(q + 1e-8)),
    and the directions a -> b and b -> a are added up. A KL is never negative, except for what the 1e-8 and rounding
    take off: 2e-8 * B at most, and 1e-6 where it is computed in float32.

    Computed in float32 whatever autocast says, float64 where the features are: log(1e-8) and a scale of 50 do not go
    together with half precision.
    """
    with torch.autocast(features_a.device.type, enabled=False):
        dtype = torch.promote_types(features_a.dtype, torch.float32)
        a = F.normalize(features_a.to(dtype), dim=1)  # (B, D)
        b = F.normalize(features_b.to(dtype), dim=1)  # (B, D)
        similarity = logit_scale * a @ b.T  # (B, B)
        same = (pids[:, None] == pids[None, :]).to(dtype)  # (B, B), symmetric: it serves both directions
        log_q = (same / same.sum(dim=1, keepdim=True) + 1e-8).log()  # (B, B)
        return _kl(similarity, log_q) + _kl(similarity.T, log_q)


def _kl(similarity: Tensor, log_q: Tensor) -> Tensor:
    """Mean over rows of KL(softmax(similarity) || q); both (B, B)."""
    log_p = F.log_softmax(similarity, dim=1)  # (B, B)
    return (log_p.exp() * (log_p - log_q)).sum(dim=1).mean()


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
