"""Versions and hardware, as they stand in every report."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from reid_smoke import __version__


def read_environment(device: str) -> dict[str, str]:
    """What ran where. `device`: torch's name of it, as in `cpu` or `cuda:0`."""
    import torch

    facts = {
        "reid-smoke": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": _version("torchvision"),
        "platform": platform.platform(terse=True),
        "device": device,
        "cpu_threads": str(torch.get_num_threads()),
        "cpu_count": str(os.cpu_count() or 0),
    }
    if device.startswith("cuda"):
        facts["gpu"] = torch.cuda.get_device_name(torch.device(device))
        facts["cuda"] = str(torch.version.cuda)
        facts["cudnn"] = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]  # torch ships no type for it
    return facts


def _version(package: str) -> str:
    module = sys.modules.get(package)
    try:
        return str(getattr(module, "__version__", None) or version(package))
    except PackageNotFoundError:
        return "not installed"
