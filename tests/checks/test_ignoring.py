"""A check that the user wants ignored, for a reason: what it finds is shown and makes no verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from reid_smoke.checks.catalogue import rank
from reid_smoke.checks.ignoring import read_ignored
from reid_smoke.config.load import load_config
from reid_smoke.errors import ConfigError, UsageError
from reid_smoke.facts import UnreadableFacts, WeightsFacts
from reid_smoke.ledger import Ledger
from reid_smoke.report.building import build_report
from reid_smoke.report.document import Report
from reid_smoke.report.formats import FORMATS
from reid_smoke.verdict import judge
from tests.report.ledgers import CHANCE, dataset_facts, falling, flat, run_facts, step_facts, trained

LOST = WeightsFacts(path="w.pth", matched=3, missing=100, unexpected=100, wrong_shape=0)  # RS504, a fault
TORN = UnreadableFacts(path="a.jpg", reason="truncated")  # RS103, a warning
REASON = "the head of <another> set | stays out"


def reported(*args: object, **run: object) -> Report:
    ledger = trained(*args, **run)  # type: ignore[arg-type]
    judgement = judge(ledger, ended=True)
    return build_report(ledger, judgement.results, judgement.verdict)


def test_a_fault_makes_no_no_go_and_is_told_with_its_reason() -> None:
    assert reported(falling, LOST).verdict == "NO-GO"
    report = reported(falling, LOST, TORN, ignored={"RS504": REASON})
    assert report.verdict == "GO"
    assert [f.code for f in report.findings] == ["RS103"]
    assert [(f.code, f.reason, f.severity) for f in report.ignored] == [("RS504", REASON, "fail")]
    assert "3 of the model's 103 keys" in report.ignored[0].evidence
    assert (report.checks.failed, report.checks.warned, report.checks.ignored) == (0, 1, 1)


def test_what_ce_itself_says_cannot_be_ignored() -> None:
    report = reported(flat, ignored={"RS202": "I do not like it"})
    assert report.verdict == "NO-GO"
    assert report.reason.startswith("CE is 5.99 over steps 200 to 300 and does not fall")
    assert (report.primary, [f.code for f in report.ignored]) == (None, ["RS202"])


def test_a_fatal_fault_that_is_ignored_does_not_end_the_run() -> None:
    begun = [dataset_facts(labels_out_of_range=3, label_max=402), step_facts(1, CHANCE)]
    assert judge(Ledger.of([run_facts(), *begun]), ended=False).verdict.certain
    ignored = judge(Ledger.of([run_facts(ignored={"RS101": "they are never drawn"}), *begun]), ended=False)
    assert (ignored.verdict.certain, rank(ignored.results)) == (False, [])


def test_a_check_that_found_nothing_is_not_listed() -> None:
    report = reported(falling, ignored={"RS504": REASON, "RS202": REASON})
    assert (report.verdict, report.ignored, report.checks.ignored) == ("GO", (), 0)


def test_an_ignored_check_that_crashes_hides_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    import reid_smoke.checks.catalogue as module

    run_check = module.run_check

    def crashes(entry: module.Check, *given: object) -> module.CheckResult:
        if entry.code == "RS504":
            return module.CheckResult(entry, "error", error="KeyError: 'w'")
        return run_check(entry, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "run_check", crashes)
    assert reported(falling).verdict == "UNKNOWN"
    report = reported(falling, ignored={"RS504": REASON})
    assert (report.verdict, report.checks.errored) == ("GO", 1)


@pytest.mark.parametrize("format", ["terminal", *sorted(FORMATS.keys() - {"github"})])
def test_every_format_shows_the_reason(format: str) -> None:
    ledger = trained(falling, LOST, ignored={"RS504": REASON})
    judgement = judge(ledger, ended=True)
    report = build_report(ledger, judgement.results, judgement.verdict)
    if format == "terminal":
        from io import StringIO

        from rich.console import Console

        from reid_smoke.report.terminal import render_terminal

        console = Console(file=StringIO(), width=80)
        render_terminal(report, console)
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert "Ignored, for a reason\n  RS504" in text
    else:
        text = FORMATS[format](report, ledger, None)
    plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("\\|", "|")
    assert REASON in " ".join(plain.split())
    assert "RS504" in text


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("RS115", "for a reason"),
        ("RS115= ", "for a reason"),
        ("RS999=x", "no check is called 'RS999'. Did you mean RS"),
        ("learnt-by-hart=x", "Did you mean learnt-by-heart"),
        ("learnt-by-heart=x", "write RS115, the code of learnt-by-heart"),
    ],
)
def test_bad_options_are_refused(option: str, says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("(", r"\(")) as raised:
        read_ignored(["RS504=fine", option])
    assert str(raised.value).startswith(f"--ignore {option}: ")


def test_options_are_read() -> None:
    given = ["RS115=PK batches = few people,\n so be it", "RS504=x", "RS504=x"]
    assert read_ignored(given) == {"RS115": "PK batches = few people, so be it", "RS504": "x"}
    with pytest.raises(UsageError, match="twice, for two reasons"):
        read_ignored(["RS504=x", "RS504=y"])


def test_bad_keys_of_a_config_are_told_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("checks:\n  ignore:\n    RS990: because\n    RS504:\n    RS115: 3\n    rs202: x\n")
    with pytest.raises(ConfigError) as raised:
        load_config(path)
    told = str(raised.value).replace(f"{path}:", "").splitlines()
    assert [line[:2] for line in told] == ["3:", "4:", "5:", "6:"]
    assert "checks.ignore.RS990: no check is called 'RS990'. Did you mean RS" in told[0]
    assert "checks.ignore.RS504: a check is ignored for a reason: write behind its code why" in told[1]
    assert "checks.ignore.RS115: found 3, expected text" in told[2]
    assert "checks.ignore.rs202: write RS202, the code of ce-at-chance" in told[3]
