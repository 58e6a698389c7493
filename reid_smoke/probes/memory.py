"""What running out of memory says: at which batch, on what device, and who holds how much of it."""

from __future__ import annotations

import re

import torch

from reid_smoke.facts import OutOfMemoryFacts

# What torch, cuBLAS and cuDNN say where they raise no OutOfMemoryError.
_SAID = re.compile(
    r"DefaultCPUAllocator: (can't allocate|not enough) memory|CUDA error: out of memory|CU\w+_STATUS_ALLOC_FAILED"
)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out, on a GPU or on the CPU; what was raised `from` such an error counts, too."""
    if error is None:
        return False
    said = isinstance(error, RuntimeError) and bool(_SAID.search(str(error)))
    return said or isinstance(error, torch.OutOfMemoryError | MemoryError) or is_out_of_memory(error.__cause__)


def read_out_of_memory(
    error: BaseException, step: int, batch: int | None, device: str | None, then: tuple[str, ...] = ()
) -> OutOfMemoryFacts | None:
    """The facts of `error`, raised after `step` whole steps; None where it is of another kind.

    batch: images. device: torch's name of it; None: not known. then: what is done about it, see OutOfMemoryFacts.
    """
    if not is_out_of_memory(error):
        return None
    if device is None:  # before the first loss nothing says where the model lies, but who raised does
        device = _device_of(error)
    peak, total, elsewhere = None, None, None
    if device.startswith("cuda"):
        peak, total, elsewhere = _of_gpu(torch.device(device))
    return OutOfMemoryFacts(
        step=step, batch=batch, device=device, peak=peak, total=total, elsewhere=elsewhere, then=then
    )


def peak_and_total(device: torch.device) -> tuple[int | None, int | None]:
    """Bytes that were held at most on this GPU since its peak was last reset, and bytes that it has."""
    return _of_gpu(device)[:2]


def _device_of(error: BaseException) -> str:
    if not torch.cuda.is_available() or not ("CUDA" in str(error) or isinstance(error, torch.OutOfMemoryError)):
        return ""
    try:
        return f"cuda:{torch.cuda.current_device()}"
    except RuntimeError:  # it answers nothing any more
        return ""


def _of_gpu(device: torch.device) -> tuple[int | None, int | None, int | None]:
    try:
        free, total = torch.cuda.mem_get_info(device)
        elsewhere = max(0, total - free - torch.cuda.memory_reserved(device))
        return torch.cuda.max_memory_allocated(device), total, elsewhere
    except (RuntimeError, AssertionError):  # no GPU here after all, or one that answers nothing any more
        return None, None, None
