"""Every command that the documentation shows: parsed by the real command line, and run where that takes a moment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reid_smoke.cli.app import app
from reid_smoke.verdict import EXIT_CODES
from tests.build.data.folders import write_market1501
from tests.report.ledgers import stuck, written
from tests.shell_commands import ROOT, Shown, commands_of, commands_of_comments, fault

DOCUMENTS = (ROOT / "README.md", ROOT / "reid_smoke" / "checks" / "README.md")
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
QUICK = ("init", "inspect", "report", "explain", "schema", "--help", "-h", "--version")
RUNS = "runs/"
DATA = "/data/"  # where the documentation has data sets


def shown() -> list[Shown]:
    named = [(path, str(path.relative_to(ROOT))) for path in (*DOCUMENTS, *CONFIGS)]
    return [
        command
        for path, name in named
        for command in (commands_of if path.suffix == ".md" else commands_of_comments)(path.read_text("utf-8"), name)
    ]


SHOWN = shown()


@pytest.mark.parametrize("command", SHOWN, ids=lambda command: f"{command.place}: {command}")
def test_what_is_shown_exists(command: Shown) -> None:
    assert fault(command) is None


def test_the_documents_show_commands() -> None:
    """Of each kind: else nothing would be tested above."""
    subjects = {command.ours[0] for command in SHOWN if command.ours}
    assert {"run", "watch", "overfit", "triage", "init", "inspect", "report", "explain", "schema"} <= subjects
    assert {command.words[0] for command in SHOWN} >= {"reid-smoke", "python", "torchrun", "pip", "scripts/test"}
    assert {command.place.partition(":")[0] for command in SHOWN} >= {"README.md", "configs/pets09.yaml"}


def test_those_that_take_a_moment_are_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, in one folder, on a small data set in the place of a large one: `init` writes what `inspect`
    reads."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    ran = set()
    once = {command.ours: command for command in reversed(SHOWN) if command.ours}
    for command in reversed(once.values()):
        if not command.ours or command.ours[0] not in QUICK or command.is_to_be_filled_in:
            continue
        if command.ours[0] == "inspect" and (command.inline or "--time" in command.ours):
            continue  # of a model that stands for the reader's own; or a training
        arguments = [prepared(word, tmp_path) for word in command.ours]
        ended = CliRunner().invoke(app, arguments)
        assert ended.exit_code in ((0, 1) if command.ours[0] == "report" else (0,)), f"{command.place}: {ended.output}"
        assert ended.stdout.strip(), command.place
        ran.add(command.ours[0])
    assert ran >= {"init", "inspect", "report", "explain", "schema"}
    assert list((tmp_path / "runs").rglob("report.html"))


def prepared(word: str, here: Path) -> str:
    """The argument, with what it names made."""
    if word.startswith(DATA):
        word = str(here / word.removeprefix("/"))
        if not Path(word).exists():
            write_market1501(Path(word), range(1, 21), images_each=4)
    elif word.startswith(RUNS) and not Path(word).exists():
        written(stuck().ledger, Path(word))
    return word


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("```bash\nreid-smoke run market.yaml --sett data.height=2\n```", "No such option"),
        ("```bash\nls; reid-smoke run market.yaml --set data.heigth=2   # typo\n```", "data.heigth: unknown key"),
        ("```bash\nreid-smoke runn market.yaml | tee log\n```", "No such command"),
        ("```bash\nreid-smoke report runs/a --format pdf > x\n```", "pdf"),
        ("```\n$ reid-smoke run configs/nowhere.yaml\nGO\n```", "configs/nowhere.yaml: no such file"),
        ("Say `reid-smoke explain RS302\nRS303` to it.", "unexpected extra argument"),
        ("```bash\ntorchrun --nproc-per-node 4 -m reid_smoke run\n```", "Missing argument"),
        ("```bash\npython scripts/bench_demo.py --fast\n```", "has no option --fast"),
        ("```bash\npython scripts/gone.py\n```", "no such file"),
        ("```bash\nreid-smok run a.yaml\n```", "no program"),
    ],
)
def test_a_wrong_command_is_found(wrong: str, says: str) -> None:
    assert says in str([fault(command) for command in commands_of(wrong, "made up")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_linked_is_there(document: Path) -> None:
    text = document.read_text("utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"", text)
    inside = [link.partition("#")[0] for pair in links for link in pair if link and not link.startswith(("http", "#"))]
    assert [link for link in inside if not (document.parent / link).exists()] == []


def test_the_pictures_are_small() -> None:
    pictures = list((ROOT / ".github" / "pictures").iterdir())
    assert {path.suffix for path in pictures} == {".png", ".svg"}
    assert sum(path.stat().st_size for path in pictures) < 600_000
    for drawing in (path for path in pictures if path.suffix == ".svg"):
        assert "url(http" not in drawing.read_text("utf-8")  # nothing is fetched by who looks at it


def test_the_exit_codes_stand_in_the_readme() -> None:
    text = DOCUMENTS[0].read_text("utf-8")
    assert all(f"`{code}` {word}" in text for word, code in EXIT_CODES.items() if word != "UNKNOWN")
