from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any, NoReturn

import pytest

from reid_smoke.errors import ReidSmokeError
from reid_smoke.report.document import Report
from reid_smoke.report.json import to_json
from reid_smoke.report.writing import write_whole
from tests.report.ledgers import CASES, stuck


def refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is not JSON")


@pytest.mark.parametrize("name", CASES)
def test_strict_json(name: str) -> None:
    document = json.loads(to_json(CASES[name]().report), parse_constant=refuse)
    assert Report.model_validate(document) == CASES[name]().report


def test_a_point_of_the_curve_takes_one_line() -> None:
    assert "\n      [300, " in to_json(stuck().report)


def test_text_in_brackets_is_left_alone() -> None:
    report = stuck().report.model_copy(update={"reason": "[\n   1,\n   2\n] and é"})
    assert json.loads(to_json(report))["reason"] == report.reason


def test_written_whole_with_nothing_beside_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "report.json", to_json(stuck().report))
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["verdict"] == "NO-GO"


def test_a_file_name_that_is_no_valid_utf_8(tmp_path: Path) -> None:
    write_whole(tmp_path / "report.json", to_json(stuck().report.model_copy(update={"name": "a\udc80"})))
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["name"] == "a\udc80"


@pytest.mark.parametrize("fails", ["os.fsync", "pathlib.Path.replace"])
def test_a_failing_write_leaves_the_old_report(fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    target = tmp_path / "report.json"
    target.write_text("old")
    monkeypatch.setattr(fails, full)
    with pytest.raises(ReidSmokeError, match=r"report\.json: .*No space left on device") as caught:
        write_whole(target, to_json(stuck().report))
    assert caught.value.exit_code == 3
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(ReidSmokeError, match="could not be written"):
        write_whole(tmp_path / "runs" / "report.json", to_json(stuck().report))
