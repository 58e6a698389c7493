from __future__ import annotations

import importlib
import json
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import jsonschema
import pytest

from reid_smoke import __version__
from reid_smoke.checks.catalogue import catalogue
from reid_smoke.versions import built_for
from tests.conftest import ReidSmoke

QUICK = """
import sys
from reid_smoke.cli import main
try:
    main()
finally:
    heavy = {"torch", "pydantic", "yaml", "numpy", "reid_smoke.checks.catalogue"} & set(sys.modules)
    assert not heavy, heavy
"""


def quickly(option: str) -> str:
    ended = subprocess.run([sys.executable, "-c", QUICK, option], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_help_imports_nothing_heavy() -> None:
    said = quickly("--help")
    assert "explain" in said
    assert "Exit codes: 0 GO, 1 NO-GO, 2 bad usage or config, 3 could not judge." in said


def test_version_names_torch_and_what_it_is_built_for_without_importing_it() -> None:
    version_of = importlib.import_module("torch.version")  # of tests, which need torch anyway
    ours, python, torch, torchvision = quickly("--version").splitlines()
    assert ours == f"reid-smoke {__version__}"
    assert python.startswith(f"Python {platform.python_version()}, {platform.system()}")
    built = re.fullmatch(rf"torch {re.escape(version('torch'))}, (CUDA [\d.]+|ROCm \S+|CPU only)", torch)
    assert built is not None
    assert built[1].endswith(version_of.cuda or version_of.hip or "only")
    assert torchvision == f"torchvision {version('torchvision')}"


@pytest.mark.parametrize(
    ("text", "built"),
    [
        ("__version__ = '2.6.0+cu124'\ndebug = False\ncuda: Optional[str] = '12.4'\nhip = None", "CUDA 12.4"),
        ('cuda = None\nhip: Optional[str] = "6.2.41134"\n', "ROCm 6.2.41134"),
        ("cuda: Optional[str] = None\nhip: Optional[str] = None\n", "CPU only"),
    ],
)
def test_what_torch_is_built_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, built: str) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('not to be imported')")
    (tmp_path / "torch" / "version.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert built_for() == built


@pytest.mark.parametrize("arguments", [["nope"], ["--nope"], ["schema", "--nope"], ["explain", "RS302", "more"]])
def test_bad_usage_ends_with_2(reid_smoke: ReidSmoke, arguments: list[str]) -> None:
    ended = reid_smoke(*arguments)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "Usage: reid-smoke" in ended.stderr


def test_schema_is_json_schema(reid_smoke: ReidSmoke) -> None:
    ended = reid_smoke("schema")
    assert ended.returncode == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(ended.stdout))


def test_explain_lists_every_check(reid_smoke: ReidSmoke) -> None:
    ended = reid_smoke("explain")
    assert ended.returncode == 0
    assert re.findall(r"^  (RS\d{3}) ", ended.stdout, re.MULTILINE) == [check.code for check in catalogue()]


def test_explain_shows_the_whole_documentation(reid_smoke: ReidSmoke) -> None:
    for name in ("RS302", "head-not-in-optimizer"):
        ended = reid_smoke("explain", name)
        assert ended.returncode == 0
        check = next(check for check in catalogue() if check.code == "RS302")
        explained = ["Named", "before:", *", ".join(check.explains).split()]
        page = [check.code, check.slug, check.severity, *check.documentation.split(), *explained]
        assert ended.stdout.split() == page


def test_explain_of_an_unknown_fault_names_the_nearest(reid_smoke: ReidSmoke) -> None:
    ended = reid_smoke("explain", "head-not-in-optimiser")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("reid-smoke: no check is called 'head-not-in-optimiser'. Did you mean head-not-in-o")
