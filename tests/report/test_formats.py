"""The formats for other programs and for a browser, from runs built by hand and through the command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from reid_smoke.errors import ReidSmokeError
from reid_smoke.report.formats import FORMATS
from reid_smoke.report.thin import thin
from reid_smoke.report.writing import write_reports
from tests.conftest import ReidSmoke
from tests.report.ledgers import CASES, Case, case, result, run_facts, stuck

CONFIG = "optimizer:\n  lr: 1.04e-3\n  groups: []\n"


def from_config(folder: Path) -> Case:
    """A run of a YAML that lies beside its folder's config, with a fault that the YAML is to blame for."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "mine.yaml").write_text("# mine\n" + CONFIG)
    title = "The head's learning rate is alive, but far too small"
    found = result("RS401", "head-lr-too-small", title, "fail", "head lr 1.04e-05", mend="Raise it.", step=300)
    run = run_facts(config=str(folder / "mine.yaml"))
    return case("NO-GO", f"{title}.", lambda step: 5.98, 300, results=[found], run=run)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_of_every_case(name: str, format: str) -> None:
    made = CASES[name]()
    text = FORMATS[format](made.report, made.ledger, None)
    assert text.endswith("\n") or format == "html"
    told = [made.report.verdict, *(finding.code for finding in made.report.findings)]
    told += [made.report.crash.exception] if made.report.crash else []
    assert any(word in text for word in told)


@pytest.mark.parametrize("name", CASES)
def test_junit_counts_what_it_holds(name: str) -> None:
    made = CASES[name]()
    suite = ElementTree.fromstring(FORMATS["junit"](made.report, made.ledger, None))[0]
    checks = made.report.checks
    assert int(suite.get("tests", "")) == len(suite.findall("testcase")) == len(checks.results) + 1
    assert int(suite.get("failures", "")) == checks.failed + (made.report.verdict == "NO-GO")
    assert int(suite.get("errors", "")) == checks.errored + (made.report.verdict == "UNKNOWN")
    assert int(suite.get("skipped", "")) == checks.skipped


def test_text_that_xml_and_html_have_no_word_for() -> None:
    made = stuck()
    report = made.report.model_copy(update={"name": "<script>alert(1)</script>", "reason": "a\x00b <script>"})
    suite = ElementTree.fromstring(FORMATS["junit"](report, made.ledger, None))[0]
    assert suite.get("name") == report.name
    page = FORMATS["html"](report, made.ledger, None)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_asks_for_nothing_outside_of_itself() -> None:
    made = stuck()
    page = FORMATS["html"](made.report, made.ledger, None)
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert all(link.startswith("data:") for link in links)
    assert "@import" not in page
    assert "url(" not in page


def test_the_mend_is_a_diff_of_the_config(tmp_path: Path) -> None:
    made = from_config(tmp_path)
    summary = FORMATS["summary"](made.report, made.ledger, tmp_path)
    assert "```diff" in summary
    assert "-   lr: 0.00104" in summary
    assert "+     lr: 0.01" in summary
    assert '<span class="minus">-   lr: 0.00104</span>' in FORMATS["html"](made.report, made.ledger, tmp_path)


def test_the_fault_is_placed_at_its_line_of_the_yaml(tmp_path: Path) -> None:
    made = from_config(tmp_path)
    annotation = FORMATS["github"](made.report, made.ledger, tmp_path)
    assert f"::error file={tmp_path}/mine.yaml,line=3,title=RS401 head-lr-too-small::" in annotation
    (finding,) = json.loads(FORMATS["sarif"](made.report, made.ledger, tmp_path))["runs"][0]["results"]
    assert finding["locations"][0]["physicalLocation"]["region"] == {"startLine": 3}


def test_an_annotation_is_one_line(tmp_path: Path) -> None:
    report = from_config(tmp_path).report
    finding = report.findings[0].model_copy(update={"evidence": "50%\nof it", "slug": "a,b:c"})
    report = report.model_copy(update={"findings": (finding,)})
    line = FORMATS["github"](report, stuck().ledger, None)
    assert line.count("\n") == 1
    assert "50%25%0Aof it" in line
    assert "title=RS401 a%2Cb%3Ac::" in line


def test_sarif_names_a_rule_for_each_result(tmp_path: Path) -> None:
    made = from_config(tmp_path)
    run = json.loads(FORMATS["sarif"](made.report, made.ledger, tmp_path))["runs"][0]
    for found in run["results"]:
        assert run["tool"]["driver"]["rules"][found["ruleIndex"]]["id"] == found["ruleId"]


def test_thinning_keeps_extremes_and_gaps() -> None:
    points: list[tuple[int, float | None]] = [(n, float(n % 7)) for n in range(100_000)]
    points[41_234] = (41_234, 99.0)
    points[70_001] = (70_001, -99.0)
    points[80_001] = (80_001, float("nan"))
    kept = thin(points)
    assert len(kept) <= 1300
    assert {(0, 0.0), (41_234, 99.0), (70_001, -99.0), (80_001, None), points[-1]} <= set(kept)
    assert kept == sorted(kept)


def test_a_format_that_fails_takes_no_other_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("no paper")

    (tmp_path / "report.html").write_text("old")
    monkeypatch.setitem(FORMATS, "html", broken)
    made = stuck()
    with pytest.raises(ReidSmokeError, match=r"report\.html: .*no paper"):
        write_reports(made.report, made.ledger, tmp_path)
    assert (tmp_path / "report.html").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junit.xml", "report.html", "report.json"]


def test_the_command_writes_the_page_and_says_where(reid_smoke: ReidSmoke, tmp_path: Path) -> None:
    folder = tmp_path / "past"
    folder.mkdir()
    facts = [fact for kind in stuck().ledger._by_kind.values() for fact in kind]
    (folder / "facts.jsonl").write_text("".join(fact.model_dump_json() + "\n" for fact in facts))
    done = reid_smoke("report", folder, "--format", "html")
    assert done.stdout.strip() == str(folder / "report.html")
    assert "<h1>" in (folder / "report.html").read_text(encoding="utf-8")
