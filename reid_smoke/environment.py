"""Versions and hardware, as they stand in every report."""

from __future__ import annotations

import os
import platform
import sys

from reid_smoke import __version__
from reid_smoke.versions import installed


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
    return str(getattr(sys.modules.get(package), "__version__", None) or installed(package) or "not installed")
