"""Figures of one batch, computed on the device and left there: no function here fetches anything.

All take and give detached tensors, float32. Few launches each: a step of a ResNet-50 on a GPU is 14 ms of launches that
wait for each other. What a mean or a ratio is made of is given as it is, and the host makes it (`figures.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from reid_smoke.probes.cross_entropy import Batch

Figures = dict[str, Tensor]
IGNORED = -1  # stands for the label of a row that the loss ignores


def classification_rows(batch: Batch) -> Figures:
    """What CE, top-1 and the figures of the labels are made of: (B,) each, `picked` the log-probability of the label,
    `predicted` the likeliest class, `labels` with IGNORED where the loss ignores the row, `spread` the logits' over
    the classes, `largest_targets` where the targets are soft.
    """
    log_probs, labels = batch.log_probs.float(), batch.labels  # (B, C), (B,)
    classes = torch.stack([torch.where(batch.counted, labels, IGNORED), log_probs.argmax(1)]).float()  # exact to 2^24
    picked = log_probs.gather(1, labels[:, None]).squeeze(1)
    # A log-softmax shifts each row by a constant, which leaves the spread that of the logits.
    spread = log_probs.std(1) if log_probs.shape[1] > 1 else torch.zeros_like(picked)
    rows = {"picked": picked, "predicted": classes[1], "labels": classes[0], "spread": spread}
    return rows if batch.largest is None else {**rows, "largest_targets": batch.largest}


def gradient_of_ce(batch: Batch, feature: Tensor, scale: float) -> Tensor | None:
    """|gradient of plain CE, the batch's mean| at a head (C, D) that makes `scale * feature @ head.T`; 0-d.

    Labels that are mixed count for nothing; None where the feature is no (B, D).
    """
    if feature.dim() != 2 or feature.shape[0] != batch.labels.shape[0]:
        return None
    feature = feature.detach().float()
    wrong = batch.log_probs.float().exp()  # (B, C)
    wrong = wrong.scatter_add(1, batch.labels[:, None], -torch.ones_like(wrong[:, :1]))
    counted = batch.counted if batch.mixed is None else batch.counted & ~batch.mixed
    wrong = torch.where(counted[:, None], wrong, 0.0)
    # |wrong^T feature|^2 without a matrix as large as the head.
    squared = ((wrong @ wrong.T) * (feature @ feature.T)).sum().clamp_min(0)
    return abs(scale) * squared.sqrt() / counted.sum().clamp_min(1)


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


def feature_rows(feature: Tensor) -> Figures:
    """What norm and likeness of the classifier's input (B, D) are made of: the norms (B,), and |sum of unit vectors|^2,
    which is B and the cosine of each with each other one.
    """
    feature = feature.detach().flatten(1).float()
    norms = torch.linalg.vector_norm(feature, dim=1)  # (B,)
    total = norms.clamp_min(1e-12).reciprocal() @ feature  # (D,)
    return {"feat_norms": norms, "feat_total": total @ total}


def channels_alive(feature: Tensor) -> Tensor:
    """Share of the channels of (B, D, ...) that vary within the batch by more than rounding."""
    feature = feature.detach().float()
    others = [dim for dim in range(feature.dim()) if dim != 1]
    spread = feature.amax(others) - feature.amin(others)  # (D,); a tenth of the cost of a standard deviation
    return (spread > 3e-4 * (feature.abs().mean(others) + 1e-12)).float().mean()


def gradient_norms(parameters: Iterable[Tensor]) -> list[Tensor]:
    """L2 norms of the gradients that there are."""
    grads = [p.grad.detach() for p in parameters if p.grad is not None]
    return norms_of([g.coalesce().values() if g.is_sparse else g for g in grads])


def norms_of(tensors: Sequence[Tensor]) -> list[Tensor]:
    """L2 norm of each.

    Several take one launch; but that gives 65,536 elements to each group of threads, and for a single tensor of this
    size the plain operation is three times as quick. The same holds for differences and copies below.
    """
    if len(tensors) <= 1:
        return [torch.linalg.vector_norm(t.detach().float()) for t in tensors]
    return list(torch._foreach_norm([t.detach().float() for t in tensors]))


def norm_of(tensors: Sequence[Tensor]) -> Tensor:
    """L2 norm over all elements of all tensors."""
    norms = norms_of(tensors)
    return norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))


def changes(now: Sequence[Tensor], before: Sequence[Tensor]) -> list[Tensor]:
    """|now - before| of each."""
    if len(now) <= 1:
        return norms_of([one.detach().float() - other.float() for one, other in zip(now, before, strict=True)])
    return norms_of(torch._foreach_sub([t.detach().float() for t in now], [t.float() for t in before]))


class Watched:
    """A few parameters whose movement is followed, without copying the whole model at each step.

    Of a weight with more than `most` elements the first rows are taken: the share that moved is about the same, and a
    GPU does the next thing with all of them in one launch only where each lies in one piece.
    """

    def __init__(self, parameters: Sequence[Tensor], most: int) -> None:
        self.parameters = list(parameters)
        self._rows = [max(1, most * p.shape[0] // max(p.numel(), 1)) if p.dim() else 0 for p in self.parameters]
        self._start = self._copied(None)
        self._lengths = norms_of(self._start)
        self._before: list[Tensor] | None = None
        self._after: list[Tensor] | None = None
        self._memory: list[list[Tensor] | None] = [None, None]  # of copies of before and after

    def sample(self) -> list[Tensor]:
        each = zip(self.parameters, self._rows, strict=True)
        return [p.detach()[:rows] if p.dim() else p.detach() for p, rows in each]

    def sample_of_gradient(self) -> Tensor | None:
        """Of the first parameter's gradient what `sample` has of its values; None where it has none."""
        gradient = self.parameters[0].grad if self.parameters else None
        return gradient[: self._rows[0]] if gradient is not None and not gradient.is_sparse else None

    def change(self) -> Tensor | None:
        """What was added to the first parameter's sample since `before_step`; None where that was not called."""
        return self.sample()[0].float() - self._before[0].float() if self._before else None

    def before_step(self) -> None:
        self._before = self._memory[0] = self._copied(self._memory[0])

    def update(self, *, remember: bool = False) -> tuple[list[Tensor], list[Tensor]] | None:
        """|dw| of each since `before_step`, and |w| then; None where that was not called.

        remember: keep a copy of what is there now, for `overwritten`.
        """
        before, self._before = self._before, None
        if remember:
            self._memory[1] = self._copied(self._memory[1])
        self._after = self._memory[1] if remember else None
        return (changes(self.sample(), before), norms_of(before)) if before else None

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
        if not then:
            return None
        return norm_of(torch._foreach_sub(now, then)) / norm_of(then).clamp_min(1e-12)

    def lose_sight(self) -> None:
        """A step was taken that nobody looked at."""
        self._after = None

    def moved(self) -> tuple[list[Tensor], list[Tensor]]:
        """|w - start| and |start| of each."""
        return changes(self.sample(), self._start), self._lengths

    def norms(self) -> list[Tensor]:
        return norms_of(self.parameters)

    def _copied(self, memory: list[Tensor] | None) -> list[Tensor]:
        """A copy of what is there now, in the memory of an earlier one where there is one."""
        sample = self.sample()
        if not memory:
            return [t.clone() for t in sample]
        if len(memory) == 1:
            memory[0].copy_(sample[0])
        else:
            torch._foreach_copy_(memory, sample)
        return memory


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
