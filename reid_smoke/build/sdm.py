"""SDM, similarity distribution matching: two views of the same samples are to agree on who is alike."""

from __future__ import annotations

from math import log
from typing import Any

import torch
from torch import Tensor


def sdm_loss(features_a: Tensor, features_b: Tensor, pids: Tensor, logit_scale: float | Tensor = 50.0) -> Tensor:
    """Similarity distribution matching between two views of the same B samples; a scalar, in nats.

    `features_a`, `features_b`: (B, D), row i of either shows the identity `pids[i]`; they are L2-normalised here.
    `pids`: (B,), integers. `logit_scale`: 1 / temperature, 1/0.02 as published; a number, or a scalar tensor, which may
    be learnt.

    From Jiang & Ye, "Cross-Modal Implicit Relation Reasoning and Aligning for Text-to-Image Person Retrieval" (IRRA,
    CVPR 2023), equations 4 to 6: with S = scale * a b^T, p = softmax(S) over a row, and q the row of [pid_i == pid_j]
    divided by its sum, the loss of one direction is the mean over rows of KL(p || q) = sum_j p (log p - log(q + 1e-8)),
    and the directions a -> b and b -> a are added up. A KL is never negative, except for what the 1e-8 and rounding
    take off: 2e-8 * B at most, and 1e-6 where it is computed in float32.

    Computed in float32 whatever autocast says, float64 where the features are: log(1e-8) and a scale of 50 do not go
    together with half precision.

    Raises RuntimeError for a gradient of the gradient (`create_graph=True`).
    """
    dtype = torch.promote_types(features_a.dtype, torch.float32)
    with torch.autocast(features_a.device.type, enabled=False):
        loss: Tensor = _SDM.apply(features_a.to(dtype), features_b.to(dtype), pids, logit_scale)
    return loss


class _SDM(torch.autograd.Function):
    """The loss and, on the way, its gradient: half as many kernels as autograd makes of the formula.

    Small as the matrices are, it is the launches that SDM costs where Python asks a GPU for each of them.

    With w_ij = p_ij (log p_ij - log q_ij), the derivative of a row's KL by S_ij is w_ij - p_ij sum_k w_ik: that of
    log p by S_ij is [i = j] - p_ij, and what p times the derivative of log p adds is 0 in sum.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, pids: Tensor, scale: float | Tensor) -> Tensor:
        batch = len(a)
        features = torch.cat((a, b))  # (2B, D)
        lengths = torch.linalg.vector_norm(features, dim=1, keepdim=True).clamp_min(1e-12)
        units = features / lengths
        cosines = units[:batch] @ units[batch:].T  # (B, B)
        similarity = scale * cosines
        same = pids[:, None] == pids[None, :]  # (B, B), symmetric: it serves both directions
        positive = (same.sum(dim=1, keepdim=True).to(a.dtype).reciprocal() + 1e-8).log()  # (B, 1)
        log_q = torch.where(same, positive, log(1e-8))
        log_p = torch.log_softmax(torch.stack((similarity, similarity.T)), dim=2)  # (2, B, B)
        p = log_p.exp()
        weighted = p * (log_p - log_q)
        rows = weighted.sum(dim=2, keepdim=True)
        if any(ctx.needs_input_grad):
            by_row = torch.addcmul(weighted, p, rows, value=-1.0)
            by_similarity = (by_row[0] + by_row[1].T) / batch
            by_unit = torch.cat((by_similarity @ units[batch:], by_similarity.T @ units[:batch])) * scale
            along = (by_unit * units).sum(dim=1, keepdim=True)
            by_feature = torch.addcmul(by_unit, units, along, value=-1.0) / lengths
            by_scale = (by_similarity * cosines).sum() if ctx.needs_input_grad[3] else None
            ctx.save_for_backward(by_feature, by_scale)
        return rows.sum() / batch

    @staticmethod
    def backward(ctx: Any, by_loss: Tensor) -> tuple[Tensor, Tensor, None, Tensor | None]:
        if torch.is_grad_enabled():  # create_graph=True: what is saved would pass for a constant
            raise RuntimeError(
                "sdm_loss gives its gradient, and not the gradient of that: create_graph=True is refused"
            )
        by_feature, by_scale = ctx.saved_tensors
        by_a, by_b = (by_loss * by_feature).chunk(2)
        return by_a, by_b, None, None if by_scale is None else by_loss * by_scale
