"""What is installed, read from what lies on the disk: torch is asked nothing, since importing it takes seconds."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from reid_smoke import __version__


def version_lines() -> Iterator[str]:
    """A line each, as a bug report wants them: ours, Python and platform, torch with what it was built for."""
    yield f"reid-smoke {__version__}"
    yield f"Python {platform.python_version()}, {platform.platform(terse=True)}, {platform.machine()}"
    torch = installed("torch")
    yield f"torch {torch}, {built_for()}" if torch else "torch not installed"
    yield f"torchvision {installed('torchvision') or 'not installed'}"


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def built_for() -> str:
    """What torch was built to compute on: `CUDA 12.8`, `ROCm 6.2` or `CPU only`. Whether such a device is here, only
    torch itself can tell."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return "which is not where Python looks"
    try:
        text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        return "built for nobody knows what: it has no version.py"
    for name, variable in (("CUDA", "cuda"), ("ROCm", "hip")):
        found = re.search(rf"^{variable}\b[^=\n]*=\s*['\"]([^'\"]+)", text, re.MULTILINE)
        if found:
            return f"{name} {found[1]}"
    return "CPU only"
