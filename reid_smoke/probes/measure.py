"""Figures of one batch, computed on the device and left there: no function here fetches anything.

All are called where no gradient is asked for, and give float32 but for classes. Few launches each: a step of a
ResNet-50 on a GPU is 14 ms of launches that wait for each other. What a mean or a ratio is made of is given as it is,
and the host makes it (`figures.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from reid_smoke.probes.batch import Batch

Figures = dict[str, Tensor | float]


def classification_rows(batch: Batch) -> Figures:
    """What CE, top-1 and the figures of the labels are made of: `row_ce` (B,), 0 where the loss ignores the row;
    `classes` (2, B) int64, its target and the likeliest one; `spread` (B,), the logits' over the classes;
    `ignored`, the target of rows that the loss ignores; and (B,) `largest_targets` where the targets are soft.
    """
    log_probs = batch.log_probs.float()  # (B, C)
    # One launch, where to pick the labels' takes two. That of `functional` is a door that the observer stands at.
    row_ce = torch.ops.aten.nll_loss(log_probs, batch.targets, None, 0, batch.ignored)
    # A copy of the targets: when the row is made of it all, their memory may hold the next batch's.
    classes = torch.stack([batch.targets, log_probs.argmax(1)])
    # A log-softmax shifts each row by a constant, which leaves the spread that of the logits.
    given = log_probs if batch.as_given is None else batch.as_given.float()
    spread = given.std(1) if given.shape[1] > 1 else torch.zeros_like(row_ce)
    rows: Figures = {"row_ce": row_ce, "classes": classes, "spread": spread, "ignored": float(batch.ignored)}
    return rows if batch.largest is None else {**rows, "largest_targets": batch.largest}


def gradient_of_ce(batch: Batch, feature: Tensor, scale: float) -> Tensor | None:
    """|gradient of plain CE, the batch's mean| at a head (C, D) that makes `scale * feature @ head.T`; 0-d.

    Labels that are mixed count for nothing; None where the feature is no (B, D).
    """
    if feature.dim() != 2 or feature.shape[0] != batch.labels.shape[0]:
        return None
    feature = feature.detach().float()
    # |wrong^T feature|^2 without a matrix as large as the head.
    squared = ((batch.wrong @ batch.wrong.T) * (feature @ feature.T)).sum().clamp_min(0)
    return abs(scale) * squared.sqrt() / batch.of_one_label.sum().clamp_min(1)


IMAGE_FIGURES = (
    "smallest", "largest", "mean", "std", "finite", "constant", "twins", "twins_of_another_label", "checksum",
    "grain", "contrast",
)  # fmt: skip


def image_figures(images: Tensor, labels: Tensor | None) -> Tensor:
    """The IMAGE_FIGURES of images (B, C, H, W) in one row; labels (B,) or None where they do not belong together."""
    images = images.detach().float()
    rows = images.flatten(1)  # (B, C*H*W)
    finite = rows.isfinite()
    stds = rows.std(1)  # (B,)
    # Told apart by place as well: images standardised one by one have all the same mean and the same spread.
    marks = (rows * torch.arange(rows.shape[1], device=rows.device).mul(0.7).sin()).mean(1)  # (B,)
    numbers = torch.where(finite, rows, 0.0)
    same = (marks[:, None] == marks[None]) & (stds[:, None] == stds[None])  # (B, B); NaN is like nothing
    same = same.fill_diagonal_(False)
    others = same & (labels[:, None] != labels[None]) if labels is not None else torch.zeros_like(same)
    # An image's own rounding is about 1e-7 of its size; a crop of one colour under JPEG's noise still has 1e-3.
    channels = images.flatten(2)  # (B, C, H*W); normalising gives each channel a value of its own
    spread = channels.amax(2) - channels.amin(2)  # (B, C)
    constant = (spread <= 1e-6 * channels.abs().amax(2)).all(1)
    channels = channels - channels.mean(2, keepdim=True)
    sideways = images.diff(dim=-1)  # (B, C, H, W - 1)
    grain = sideways.square().mean() / (2 * channels.square().mean())
    # Of an image that no erasing has given a patch of another size: where half of them are erased, a quarter is whole.
    contrast = channels.square().flatten(1).mean(1).sort().values[images.shape[0] // 4].sqrt()
    figures = (
        numbers.min(), numbers.max(), numbers.mean(), stds.mean(), finite.float().mean(), constant.float().mean(),
        same.any(1).sum(), others.any(1).sum(), marks.sort().values.mul(12.9898).sin().sum(), grain,
        contrast,
    )  # fmt: skip
    return torch.stack([figure.float() for figure in figures])


def feature_norms(feature: Tensor) -> Tensor:
    """Of the classifier's inputs (B, D), each by itself: (B,)."""
    norms: Tensor = torch.linalg.vector_norm(feature.detach().flatten(1).float(), dim=1)
    return norms


def feature_total(feature: Tensor, norms: Tensor) -> Tensor:
    """|sum of unit vectors|^2 of (B, D) with these norms (B,): B and the cosine of each with each other one."""
    total = norms.clamp_min(1e-12).reciprocal() @ feature.detach().flatten(1).float()  # (D,)
    return total @ total


def channels_alive(feature: Tensor) -> Tensor:
    """Share of the channels of (B, D, ...) that vary within the batch by more than rounding."""
    feature = feature.detach().float()
    others = [dim for dim in range(feature.dim()) if dim != 1]
    spread = feature.amax(others) - feature.amin(others)  # (D,); a tenth of the cost of a standard deviation
    more = torch.sub(spread, feature.abs().mean(others), alpha=3e-4)
    return (more > 3e-16).mean(dtype=torch.float32)


def lengths(tensors: Mapping[str, Sequence[Tensor]]) -> dict[str, list[Tensor]]:
    """L2 norm of each, by the same names, in one launch for all."""
    norms = iter(norms_of([tensor for some in tensors.values() for tensor in some]))
    return {name: [next(norms) for _ in some] for name, some in tensors.items()}


def norms_of(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """L2. Several take one launch; but that gives 65,536 elements to each group of threads, and for a single tensor of
    this size the plain operation is three times as quick.
    """
    if len(tensors) <= 1:
        return [torch.linalg.vector_norm(t.float()) for t in tensors]
    return torch._foreach_norm([t if t.dtype is torch.float32 else t.float() for t in tensors])


def differences(pairs: Mapping[str, tuple[Sequence[Tensor], Sequence[Tensor]]]) -> dict[str, list[Tensor]]:
    """The first of each pair less the second, by the same names, in one launch for all."""
    these, those = ([tensor.float() for pair in pairs.values() for tensor in pair[side]] for side in (0, 1))
    found = iter(torch._foreach_sub(these, those) if these else ())
    return {name: [next(found) for _ in pair[0]] for name, pair in pairs.items()}


def copy(values: Sequence[Tensor], memory: Sequence[Tensor]) -> None:
    """Each into its own, in one launch for all."""
    if values:
        torch._foreach_copy_(list(memory), list(values))


def apart(before: Tensor, after: Tensor) -> Tensor:
    """Lengths of the rows of `before`, of `after` and of what lies between them. (R, ...) twice -> (3, R).

    The host makes of it how far apart they are at unit length.
    """
    these, those = before.flatten(1), after.flatten(1)
    found: Tensor = torch.linalg.vector_norm(torch.stack([these, those, these - those]), dim=2)
    return found


class Watched:
    """A few parameters whose movement is followed, without copying the whole model at each step.

    Of a weight with more than `most` elements the first rows are taken: the share that moved is about the same, and a
    GPU does the next thing with all of them in one launch only where each lies in one piece.

    start, before, after: copies of the samples, float32: as they were at first, and memory for those around a step.
    earlier: what `after` of the first had been, see `keep_after`.
    """

    def __init__(self, parameters: Sequence[Tensor], most: int) -> None:
        self.parameters = list(parameters)
        self._rows = [max(1, most * p.shape[0] // max(p.numel(), 1)) if p.dim() else 0 for p in self.parameters]
        self._lay_at: list[int] = []  # the addresses where `_sample` lies
        self._sample: list[Tensor] = []
        self.start = [t.to(torch.float32, copy=True) for t in self.sample()]
        self.lengths = list(norms_of(self.start))
        self.before = [torch.empty_like(t) for t in self.start]
        self.after = [torch.empty_like(t) for t in self.start]
        self.earlier = torch.empty_like(self.start[0]) if self.start else torch.empty(0)

    def keep_after(self) -> None:
        """As `earlier`, however often `after` is written again."""
        self.earlier, self.after[0] = self.after[0], self.earlier

    def sample(self) -> list[Tensor]:
        """Views of the parameters as they are now. They are made anew where a parameter's memory is another."""
        addresses = [p.data_ptr() for p in self.parameters]
        if addresses != self._lay_at:
            each = zip(self.parameters, self._rows, strict=True)
            self._sample = [p.detach()[:rows] if p.dim() else p.detach() for p, rows in each]
            self._lay_at = addresses
        return self._sample

    @property
    def is_trained(self) -> bool:
        """Whether a gradient is asked for any of them: what is frozen has none, and that is none of 0."""
        for parameter in self.parameters:  # noqa: SIM110  # the first one nearly always tells: no generator is made
            if parameter.requires_grad:
                return True
        return False

    def gradients(self) -> list[Tensor]:
        """Those that there are; of a sparse one its values."""
        grads = [p.grad for p in self.parameters]
        return [g.coalesce().values() if g.is_sparse else g for g in grads if g is not None]

    def sample_of_gradient(self) -> Tensor | None:
        """Of the first parameter's gradient what `sample` has of its values; None where it has none."""
        gradient = self.parameters[0].grad if self.parameters else None
        return gradient[: self._rows[0]] if gradient is not None and not gradient.is_sparse else None


def choose_sentinels(parameters: Sequence[tuple[str, Tensor]], count: int = 4, most: int = 150_000) -> list[Tensor]:
    """A few weights from the first layer to the last, small enough that watching them costs nothing to speak of.

    most: elements of each, where there are enough that small; a transformer's smallest matrices are larger.
    """
    real = [p for _, p in parameters if not p.is_complex()]  # of the others a part alone would be looked at
    weights = [p for p in real if p.dim() >= 2] or real
    sizes = sorted(p.numel() for p in weights)[:count]
    weights = [p for p in weights if p.numel() <= max([most, *sizes])]
    if len(weights) <= count:
        return weights
    return [weights[round(i * (len(weights) - 1) / (count - 1))] for i in range(count)]
