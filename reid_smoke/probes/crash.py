"""What a crash says: the exception, the innermost frame that is the user's, and the labels that broke the loss."""

from __future__ import annotations

import os
import re
import sysconfig
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from reid_smoke.facts import CrashFacts, OutOfMemoryFacts
from reid_smoke.probes.dead_gpu import died_of
from reid_smoke.probes.labels import LabelsBeforeLoss
from reid_smoke.probes.memory import read_out_of_memory

if TYPE_CHECKING:
    from reid_smoke.probes.observer import Observer

LOSSES = ("cross_entropy", "nll_loss", "gather", "one_hot", "scatter_")
OUT_OF_BOUNDS = re.compile(r"index (-?\d+) is out of bounds for dimension \d+ with size (\d+)")
OVER_NOTHING = re.compile(r"(min|max|argmin|argmax)\(\): Expected reduction dim")
ONE_HOT = "Class values must be "  # smaller than num_classes, or non-negative
NO_ROWS = re.compile(r"shape '\[(\d+), -1\]' is invalid for input of size (\d+)")
OURS = str(Path(__file__).resolve().parents[1])
TORCH = str(Path(torch.__file__).resolve().parent)
LATE = {  # within torch, and by name: where a step has begun
    (str(Path("/autograd/__init__.py")), "backward"),
    *((str(Path("/nn/utils/clip_grad.py")), name) for name in ("clip_grad_norm_", "clip_grad_value_")),
}
PYTHON = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")})
PACKAGES = {"site-packages", "dist-packages"}


def read_watched_crash(error: BaseException, observer: Observer) -> tuple[CrashFacts | OutOfMemoryFacts, ...]:
    """The facts of `error`, which ended the training that this observer watches."""
    if died_of(error):
        observer.gpu_died()
    crash = read_crash(error, observer.step, observer.labels_before)
    ran_out = read_out_of_memory(error, crash.step, observer.batch_size, observer.device)
    return (crash,) if ran_out is None else (crash, ran_out)


def read_crash(error: BaseException, step: int, labels: LabelsBeforeLoss) -> CrashFacts:
    """The facts of `error`. step: the last whose backward began. labels: what the last losses on a GPU were given."""
    frames = list(traceback.walk_tb(error.__traceback__))
    if any(_is_late_in_a_step(frame) for frame, _ in frames):
        step = max(0, step - 1)
    if died_of(error):
        bad, classes = labels.bad(_widths([frame for frame, _ in frames]))
    else:
        bad, classes = _bad_labels([frame for frame, _ in frames])
        if not bad:
            bad, classes = _bad_indices(str(error), [frame for frame, _ in frames])
    return CrashFacts(
        step=step,
        exception=type(error).__name__,
        message=str(error)[:2000],
        where=_where(error.__traceback__),
        bad_labels=bad,
        num_classes=classes,
        only_label=_only_label(str(error), [frame for frame, _ in frames]),
        unequal=_unequal(str(error), [frame for frame, _ in frames]),
    )


def _is_late_in_a_step(frame: FrameType) -> bool:
    """In backward, in clipping or in the optimizer: the step had begun, and was never whole."""
    return (frame.f_code.co_filename.removeprefix(TORCH), frame.f_code.co_name) in LATE or (
        frame.f_code.co_filename.startswith(str(Path(TORCH, "optim"))) and frame.f_code.co_name == "step"
    )


def _where(trace: TracebackType | None) -> str:
    """`file:line` of the innermost frame that the user may have written; of packages, where they wrote none."""
    places = [(entry.filename, entry.lineno) for entry in traceback.extract_tb(trace)]
    outside = [place for place in places if not place[0].startswith(TORCH)]
    others = [place for place in outside if not place[0].startswith(OURS)]
    theirs = [place for place in others if not _is_installed(place[0])]
    filename, line = (theirs or others or outside or places or [("?", 0)])[-1]
    return f"{filename}:{line}"


def _is_installed(filename: str) -> bool:
    """Part of Python or of a package: nobody mends their training there."""
    return filename.startswith((*PYTHON, "<frozen ")) or not PACKAGES.isdisjoint(Path(filename).parts)


def _bad_labels(frames: list[FrameType]) -> tuple[tuple[int, ...], int | None]:
    """Labels outside 0..C-1 in the arguments of the loss that raised, and C.

    `F.cross_entropy` raises while its arguments are still there to be read; nothing has to be wrapped to see them. Only
    labels on the CPU are read: after a device-side assertion a GPU answers nothing any more.
    """
    for frame in reversed(frames):
        if frame.f_code.co_name in LOSSES and frame.f_code.co_filename.startswith(TORCH):
            logits, labels = _argument(frame, "input"), _argument(frame, "target")
            if logits is None or labels is None or labels.is_floating_point() or labels.device.type != "cpu":
                continue
            classes = logits.shape[1] if logits.dim() > 1 else logits.shape[0]
            ignore = frame.f_locals.get("ignore_index", -100)
            wrong = labels[((labels < 0) | (labels >= classes)) & (labels != ignore)]
            return tuple(sorted(set(wrong.flatten().tolist()))[:16]), classes
    return (), None


def _bad_indices(message: str, frames: list[FrameType]) -> tuple[tuple[int, ...], int | None]:
    """The same where CE is written by hand: `scatter_`, `gather` and `log_probs[rows, labels]` have no frame of their
    own, but say which index they were given, and whoever called them holds the labels."""
    if message.startswith(ONE_HOT):
        return _beside_their_logits(frames)
    said = OUT_OF_BOUNDS.search(message)
    if said is None:
        return (), None
    index, size = int(said[1]), int(said[2])
    for labels in _like_labels(frames, everywhere=True):  # many scatter on the host what lies on a GPU
        wrong = labels[(labels < 0) | (labels >= size)]
        if index in wrong:
            return tuple(sorted(set(wrong.tolist()))[:16]), size
    return (), None


def _beside_their_logits(frames: list[FrameType]) -> tuple[tuple[int, ...], int | None]:
    """Where `F.one_hot` raised, which has no frame and says no number: logits (B, C) are held where labels (B,) are."""
    for frame in reversed(frames):
        held = [v for v in list(frame.f_locals.values()) if isinstance(v, Tensor) and v.is_floating_point()]
        for labels in _like_labels([frame]):
            sizes = {v.shape[1] for v in held if v.dim() == 2 and v.shape[0] == len(labels)}
            wrong = {size: labels[(labels < 0) | (labels >= size)] for size in sizes}
            wrong = {size: found for size, found in wrong.items() if len(found)}
            if len(wrong) == 1:
                [(size, found)] = wrong.items()
                return tuple(sorted(set(found.tolist()))[:16]), size
    return (), None


def _widths(frames: list[FrameType]) -> set[int]:
    """C of each (B, C) that may be logits, in the frames of whoever called torch. Of shapes a dead GPU tells, too."""
    theirs = [frame for frame in frames if not frame.f_code.co_filename.startswith((TORCH, OURS))]
    values = [value for frame in theirs for value in list(frame.f_locals.values()) if isinstance(value, Tensor)]
    return {value.shape[1] for value in values if value.dim() == 2 and value.is_floating_point() and value.shape[1] > 1}


def _only_label(message: str, frames: list[FrameType]) -> int | None:
    """The label of all images of a batch in which the hardest negative was looked for, and there was none."""
    if not OVER_NOTHING.match(message):
        return None
    labels = next((labels for labels in _like_labels(frames) if len(labels) > 1), None)
    return int(labels[0]) if labels is not None and bool((labels == labels[0]).all()) else None


def _unequal(message: str, frames: list[FrameType]) -> tuple[int, ...]:
    """How many images each identity of a batch has, the fewest first, where all pairs under one label, or all under
    two, were to be given to the images in equal shares, and could not."""
    said = NO_ROWS.search(message)
    if said is None:
        return ()
    images, pairs = int(said[1]), int(said[2])
    for labels in _like_labels(frames, everywhere=True):  # a GPU that raised at a shape still answers
        if len(labels) != images:
            continue
        sizes = sorted(Counter(labels.tolist()).values())
        alike = sum(size * size for size in sizes)
        if pairs in (alike, images * images - alike) and sizes[0] < sizes[-1]:
            return tuple(sizes)
    return ()


def _like_labels(frames: list[FrameType], *, everywhere: bool = False) -> Iterator[Tensor]:
    """Whole numbers that stand in a row, (B,) int64, in whatever called torch; the innermost frame first.

    everywhere: on GPUs, too. Without it only those on the CPU.
    """
    for frame in [frame for frame in reversed(frames) if not frame.f_code.co_filename.startswith(TORCH)][:3]:
        for value in list(frame.f_locals.values()):
            is_whole = isinstance(value, Tensor) and value.dtype == torch.int64
            if not is_whole or (value.device.type != "cpu" and not everywhere):
                continue
            if value.dim() and value.numel() == max(value.shape):
                yield value.detach().flatten()


def _argument(frame: FrameType, name: str) -> Tensor | None:
    value: Any = frame.f_locals.get(name)
    return value.detach() if isinstance(value, Tensor) else None
