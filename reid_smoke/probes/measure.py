"""Figures of one batch, computed on the device and left there: no function here fetches anything.

All take and give detached tensors; figures are 0-d float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from reid_smoke.probes.cross_entropy import Batch

Figures = dict[str, Tensor]


def classification_figures(batch: Batch) -> Figures:
    """CE (nats, plain), top-1 and what the labels look like. Rows that the loss ignores count for nothing."""
    log_probs, labels, counted = batch.log_probs.float(), batch.labels, batch.counted  # (B, C), (B,), (B,)
    rows_counted = counted.sum(dtype=torch.float32)
    rows = rows_counted.clamp_min(1)
    picked = -log_probs.gather(1, labels[:, None]).squeeze(1)  # (B,)
    right = log_probs.argmax(1) == labels
    # An ignored row takes the largest label of the others, so that it changes neither the range nor the count.
    most = torch.where(counted, labels, labels.min()).max()
    ordered = torch.where(counted, labels, most).sort().values
    return {
        "ce": torch.where(counted, picked, 0.0).sum() / rows,
        "top1": (right & counted).sum() / rows,
        "batch": rows_counted,
        "label_min": ordered[0],
        "label_max": ordered[-1],
        "distinct_labels": 1 + (ordered[1:] != ordered[:-1]).sum(),
        # The sine of each label, so that different sets of labels hardly ever have the same sum.
        "label_checksum": ordered.float().mul(12.9898).sin().sum(),
        # A log-softmax shifts each row by a constant, which leaves the spread over the classes that of the logits.
        "logit_std": log_probs.std(1).mean() if log_probs.shape[1] > 1 else torch.zeros_like(rows, dtype=torch.float32),
    }


IMAGE_FIGURES = (
    "smallest", "largest", "mean", "std", "finite", "constant", "twins", "twins_of_another_label", "checksum",
)  # fmt: skip


def image_figures(images: Tensor, labels: Tensor | None) -> Tensor:
    """The IMAGE_FIGURES of images (B, C, H, W) in one row; labels (B,) or None where they do not belong together."""
    rows = images.detach().float().flatten(1)  # (B, C*H*W)
    finite = rows.isfinite()
    stds = rows.std(1)  # (B,)
    # Told apart by place as well: images standardised one by one have all the same mean and the same spread.
    marks = (rows * torch.arange(rows.shape[1], device=rows.device).mul(0.7).sin()).mean(1)  # (B,)
    numbers = torch.where(finite, rows, 0.0)
    same = (marks[:, None] == marks[None]) & (stds[:, None] == stds[None])  # (B, B); NaN is like nothing
    same = same.fill_diagonal_(False)
    others = same & (labels[:, None] != labels[None]) if labels is not None else torch.zeros_like(same)
    # An image's own rounding is about 1e-7 of its size; a crop of one colour under JPEG's noise still has 1e-3.
    channels = images.detach().float().flatten(2)  # (B, C, H*W); normalising gives each channel a value of its own
    spread = channels.amax(2) - channels.amin(2)  # (B, C)
    constant = (spread <= 1e-6 * channels.abs().amax(2)).all(1)
    figures = (
        numbers.min(), numbers.max(), numbers.mean(), stds.mean(), finite.float().mean(), constant.float().mean(),
        same.any(1).sum(), others.any(1).sum(), marks.sort().values.mul(12.9898).sin().sum(),
    )  # fmt: skip
    return torch.stack([figure.float() for figure in figures])


def feature_figures(feature: Tensor) -> Figures:
    """Norm and likeness of the classifier's input (B, D)."""
    feature = feature.detach().flatten(1).float()
    norms = feature.norm(dim=1, keepdim=True)  # (B, 1)
    total = (feature / norms.clamp_min(1e-12)).sum(0)  # (D,)
    rows = feature.shape[0]
    # sum over i != j of cos(i, j) = |sum of unit vectors|^2 - B
    cosine = (total @ total - rows) / max(rows * (rows - 1), 1)
    return {"feat_norm": norms.mean(), "feat_cosine": cosine}


def channels_alive(feature: Tensor) -> Tensor:
    """Share of the channels of (B, D, ...) that vary within the batch by more than rounding."""
    feature = feature.detach().float()
    others = [dim for dim in range(feature.dim()) if dim != 1]
    spread = feature.amax(others) - feature.amin(others)  # (D,); a tenth of the cost of a standard deviation
    return (spread > 3e-4 * (feature.abs().mean(others) + 1e-12)).float().mean()


def gradient_norm(parameters: Iterable[Tensor]) -> Tensor | None:
    """L2 norm over the gradients of all; a parameter without a gradient counts 0. None without parameters."""
    parameters = list(parameters)
    if not parameters:
        return None
    grads = [p.grad.detach() for p in parameters if p.grad is not None]
    dense = [g.coalesce().values() if g.is_sparse else g for g in grads]
    return norm_of(dense) if dense else torch.zeros((), device=parameters[0].device)


def norm_of(tensors: Sequence[Tensor]) -> Tensor:
    """L2 norm over all elements of all tensors."""
    norms = torch._foreach_norm([t.detach().float() for t in tensors])  # on a GPU one launch for all
    total: Tensor = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))
    return total


def relative_change(now: Sequence[Tensor], before: Sequence[Tensor], length: Tensor) -> Tensor:
    """|now - before| / length over all elements; length: |before|, as by `norm_of`. 0 where both are zero."""
    changed = norm_of(torch._foreach_sub([t.detach().float() for t in now], [t.float() for t in before]))
    return changed / length.clamp_min(1e-12)


class Watched:
    """A few parameters whose movement is followed, without copying the whole model at each step.

    Of a weight with more than `most` elements every n-th row is taken: the share that moved is the same.
    """

    def __init__(self, parameters: Sequence[Tensor], most: int) -> None:
        self.parameters = list(parameters)
        self._strides = [max(1, -(-p.numel() // most)) for p in self.parameters]
        self._start = self.copy()
        self._length = norm_of(self._start) if self._start else None
        self._before: list[Tensor] | None = None
        self._after: list[Tensor] | None = None

    def sample(self) -> list[Tensor]:
        return [p.detach()[::s] if p.dim() else p.detach() for p, s in zip(self.parameters, self._strides, strict=True)]

    def copy(self) -> list[Tensor]:
        return [t.clone() for t in self.sample()]

    def before_step(self) -> None:
        self._before = self.copy()

    def update(self, *, remember: bool = False) -> Tensor | None:
        """|dw| / |w| since `before_step`; None where that was not called.

        remember: keep a copy of what is there now, for `overwritten`.
        """
        before, self._before = self._before, None
        self._after = self.copy() if remember else None
        return relative_change(self._after or self.sample(), before, norm_of(before)) if before else None

    def overwritten(self) -> Tensor | None:
        """|w - w after the last step| / |w after it|, to be asked for after `before_step`; None at the first.

        Each row is taken at unit length: to bring a class's weights back to a length is a common constraint.
        """
        after, self._after = self._after, None
        if not after or not self._before:
            return None
        if after[0].device.type == "cpu" and all(map(torch.equal, self._before, after)):
            return torch.zeros(())  # nearly always, and the look is free where nobody waits for a device
        now, then = (
            [functional.normalize(t.float().flatten(1)) for t in side if t.dim() > 1] for side in (self._before, after)
        )
        return relative_change(now, then, norm_of(then)) if then else None

    def lose_sight(self) -> None:
        """A step was taken that nobody looked at."""
        self._after = None

    def moved(self) -> Tensor | None:
        """|w - start| / |start|."""
        return relative_change(self.sample(), self._start, self._length) if self._length is not None else None

    def norm(self) -> Tensor | None:
        return norm_of(self.parameters) if self.parameters else None


def choose_sentinels(parameters: Sequence[tuple[str, Tensor]], count: int = 4, most: int = 150_000) -> list[Tensor]:
    """A few weights from the first layer to the last, small enough that watching them costs nothing to speak of.

    most: elements of each, where there are enough that small; a transformer's smallest matrices are larger.
    """
    weights = [p for _, p in parameters if p.dim() >= 2] or [p for _, p in parameters]
    sizes = sorted(p.numel() for p in weights)[:count]
    weights = [p for p in weights if p.numel() <= max([most, *sizes])]
    if len(weights) <= count:
        return weights
    return [weights[round(i * (len(weights) - 1) / (count - 1))] for i in range(count)]
