from __future__ import annotations

import json
import re
import subprocess
import sys

import jsonschema
import pytest

from reid_smoke import __version__
from reid_smoke.checks.catalogue import catalogue
from tests.conftest import ReidSmoke

HELP = """
import sys
from reid_smoke.cli import main
sys.argv = ["reid-smoke", "--help"]
try:
    main()
finally:
    heavy = {"torch", "pydantic", "yaml", "numpy", "reid_smoke.checks.catalogue"} & set(sys.modules)
    assert not heavy, heavy
"""


def test_help_imports_nothing_heavy() -> None:
    ended = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "explain" in ended.stdout
    assert "Exit codes: 0 GO, 1 NO-GO, 2 bad usage or config, 3 could not judge." in ended.stdout


def test_version(reid_smoke: ReidSmoke) -> None:
    assert reid_smoke("--version").stdout == f"reid-smoke {__version__}\n"


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
