"""What is under way: the step whose backward has begun, and the loader that feeds it."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

FIGURES = (
    "ce", "loss", "top1", "batch", "label_min", "label_max", "distinct_labels", "logit_std", "feat_norm", "feat_cosine",
    "channels_alive", "head_norm", "head_update", "head_moved", "head_grad_before", "head_grad", "head_grad_applied",
    "backbone_grad", "backbone_grad_applied", "backbone_update", "grad_norm_total", "amp_scale",
    "label_checksum", "head_overwritten", "ce_weight", "ce_share", "lr_head", "lr_backbone", "skips",
)  # fmt: skip


@dataclass
class Step:
    """A step that is under way: figures on the device, and what the host knows."""

    number: int
    epoch: int
    step_in_epoch: int
    events: str
    data_s: float
    figures: dict[str, Tensor] = field(default_factory=dict)
    lr_head: float | None = None  # None, too, where it lies on the device: it is among the figures then
    lr_backbone: float | None = None
    clip_at: float | None = None
    applied: bool = False
    head_steps: int = 0
    head_optimizers: set[int] = field(default_factory=set)
    row: Tensor | None = None  # all figures in one, where a CUDA graph makes it
    images: Tensor | None = None  # figures of the images, where they were measured
    image_shape: tuple[int, ...] = ()
    scaled: bool = False
    measured: bool = True
    arrived: float = 0.0
    compute_s: float | None = None

    def skip(self, times: int) -> None:
        """So many of its optimizer steps changed nothing, as the device found out after they were noted."""
        self.events = self.events.replace("s", "k", times)
        self.applied = "s" in self.events
        if not self.applied:
            self.head_steps, self.head_optimizers = 0, set()


@dataclass(frozen=True)
class Recorded:
    """A step that a CUDA graph recorded: what each replay does again."""

    step: Step
    counts: dict[str, int]


@dataclass
class Loader:
    """The iterator that last gave a batch."""

    key: int = 0
    epoch: int = 0
    given: int = 0
    promised: int | None = None
    fed: bool = False  # one of its batches went through the loss
    sampler: int = 0  # id of what draws its batches
    images: int | None = None  # of its dataset
    parts: tuple[int, ...] = ()  # of the dataset, where it is put together from several
    batch_size: int | None = None  # as what draws its batches has it


def sampler_of(iterator: object) -> int:
    """What draws the batches of a DataLoader's iterator, the same object in every epoch; 0 where it has none."""
    sampler = getattr(iterator, "_index_sampler", None)
    return id(sampler) if sampler is not None else 0


def batch_size_of(iterator: object) -> int | None:
    """Images a batch, as a DataLoader's batch sampler has it; None: it has none of that name."""
    size = getattr(getattr(iterator, "_index_sampler", None), "batch_size", None)
    return size if isinstance(size, int) else None


def images_of_dataset(iterator: object) -> int | None:
    """`len` of the dataset behind a DataLoader's iterator; None: it has none."""
    try:
        return len(iterator._dataset)  # type: ignore[attr-defined]  # every one of torch's has it
    except Exception:  # an iterable dataset, or one whose __len__ is broken: theirs to find out
        return None


def parts_of_dataset(iterator: object) -> tuple[int, ...]:
    """`len` of each data set that a ConcatDataset, or one written alike, is put together from."""
    try:
        dataset = iterator._dataset  # type: ignore[attr-defined]
        while (inner := vars(dataset).get("dataset")) is not None:  # a Subset, a data set with transforms
            dataset = inner
        parts = vars(dataset).get("datasets")
        return tuple(map(len, parts)) if isinstance(parts, (list, tuple)) and len(parts) > 1 else ()
    except Exception:  # theirs, and not as we guessed
        return ()
