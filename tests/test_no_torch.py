"""What lies downstream of the facts runs without torch: a past run can be judged and reported anywhere."""

from __future__ import annotations

import subprocess
import sys

import pytest

WALK = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(getattr(package, "__path__", []), package.__name__ + "."):
    importlib.import_module(module.name)
    assert "torch" not in sys.modules, module.name
assert "torch" not in sys.modules, package.__name__
"""


@pytest.mark.parametrize(
    "name", ["build.data.formats", "checks", "cli", "config", "errors", "facts", "ledger", "report", "verdict"]
)
def test_no_module_of_it_imports_torch(name: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WALK, f"reid_smoke.{name}"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
