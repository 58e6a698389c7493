"""The shell commands that a document shows, and whether what they call exists; see test_readme.py."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from typer.main import get_command

from reid_smoke.cli.app import app
from reid_smoke.config.load import load_config
from reid_smoke.errors import ReidSmokeError

if sys.version_info >= (3, 11):
    import tomllib

ROOT = Path(__file__).resolve().parents[1]
SHELLS = ("bash", "sh", "console")
OURS = "reid-smoke"
ELSEWHERE = {"source", "sbatch", "export", "cd", "cp", "mkdir"}  # nothing of ours to be wrong about
OPERATORS = {"|", "||", "&&", ";", "&"}
INSTALLS = "--install-completion"
REDIRECTIONS = {">", ">>", "<", "2>", "&>"}
_FENCE = re.compile(r"^ *(```+)(\w*) *\n(.*?)^ *\1 *$", re.MULTILINE | re.DOTALL)
# Of a sentence; but not another project's: torchreid's `scripts/main.py`.
_INLINE = re.compile(r"(?<!'s )`((?:reid-smoke |pip install |python scripts/|scripts/)[^`\n]*(?:\n[^`\n]+)?)`")
_PLACEHOLDER = re.compile(r"\.\.\.|(?:^|=)[A-Z_]{3,}(?=$|=)")  # CONFIG, RUN_DIR: what somebody fills in


@dataclass(frozen=True)
class Shown:
    """One simple command: no pipe, no redirection, no comment."""

    place: str  # file:line
    words: tuple[str, ...]
    inline: bool = False  # within a sentence

    def __str__(self) -> str:
        return shlex.join(self.words)

    @property
    def ours(self) -> tuple[str, ...] | None:
        """What `reid-smoke` is given, however it is started; None: another program's command."""
        if self.words[0] == OURS:
            return self.words[1:]
        if "reid_smoke" in self.words and self.words[self.words.index("reid_smoke") - 1] == "-m":
            return self.words[self.words.index("reid_smoke") + 1 :]
        return None

    @property
    def is_to_be_filled_in(self) -> bool:
        return any(_PLACEHOLDER.search(word) for word in self.words)


def commands_of(text: str, name: str) -> list[Shown]:
    """Every command of a Markdown text: in its fenced shell blocks, after the `$` of its transcripts, in sentences."""
    found = []
    for block in _FENCE.finditer(text):
        line = text.count("\n", 0, block.start(3)) + 1
        code = block[3]
        if block[2] not in SHELLS:  # a transcript: what follows a `$` was typed, the rest is what came of it
            code = "\n".join(each.lstrip()[2:] if each.lstrip().startswith("$ ") else "" for each in code.split("\n"))
        found += _of_shell(code, name, line)
    prose = _FENCE.sub(lambda block: "\n" * block[0].count("\n"), text)
    for span in _INLINE.finditer(prose):
        line = prose.count("\n", 0, span.start()) + 1
        found += _of_shell(span[1].replace("\n", " "), name, line, inline=True)
    return found


def commands_of_comments(text: str, name: str) -> list[Shown]:
    """Those that a YAML's comments show: alone on a line, or in backticks."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if match := re.match(r"# {2,}(\S.*)", line):
            found += _of_shell(match[1].partition("    ")[0], name, number)
        elif line.startswith("#"):
            for span in _INLINE.finditer(line):
                found += _of_shell(span[1], name, number, inline=True)
    return found


def _of_shell(code: str, name: str, line: int, *, inline: bool = False) -> Iterator[Shown]:
    for number, each in enumerate(code.replace("\\\n", "  ").split("\n")):
        for words in _simple(each):
            yield Shown(f"{name}:{line + number}", words, inline)


def _simple(line: str) -> Iterator[tuple[str, ...]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    tokens = iter(lexer)
    for token in tokens:
        if token in REDIRECTIONS:
            next(tokens, None)
        elif token in OPERATORS:
            if words:
                yield tuple(words)
            words = []
        else:
            words.append(token)
    if words:
        yield tuple(words)


def fault(command: Shown) -> str | None:
    """What is wrong with a command, as far as can be told without running it; None: nothing."""
    program, *arguments = command.words
    if command.ours is not None:
        is_name = command.inline and len(command.ours) == 1  # "as `reid-smoke run` judges"
        return _fault_of_ours([*command.ours, "--help"] if is_name else command.ours)
    if program == "python" and arguments:
        program, *arguments = arguments
    if program.startswith("scripts/"):
        return _fault_of_script(ROOT / program, arguments)
    if program == "pip":
        return _fault_of_install(arguments)
    return None if program in ELSEWHERE else f"{program}: no program that this test knows"


def _fault_of_ours(arguments: Sequence[str]) -> str | None:
    """The real command line parses it; in the place of each command stands what looks at the values."""
    group: Any = get_command(app)
    faults: list[str] = []
    if INSTALLS in arguments:  # which would change the reader's shell, and not only tell what is wrong
        return None if any(INSTALLS in option.opts for option in group.params) else f"{INSTALLS}: no such option"
    for command in group.commands.values():
        command.callback = _looker(faults)
    said = StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(said):
            group.main(args=list(arguments), prog_name=OURS)
    except SystemExit as ended:
        if ended.code not in (0, None):
            return said.getvalue().strip()
    return "; ".join(faults) or None


def _looker(faults: list[str]) -> Callable[..., None]:
    def look(**values: Any) -> None:
        overrides = [each for each in values.get("overrides") or () if not _PLACEHOLDER.search(each)]
        try:
            load_config(None, overrides)
        except ReidSmokeError as error:
            faults.append(str(error))
        config = str(values.get("config") or "")
        if config.startswith("configs/") and not (ROOT / config).is_file():
            faults.append(f"{config}: no such file")

    return look


def _fault_of_script(script: Path, arguments: Sequence[str]) -> str | None:
    """Its options are read from its source: starting each would take longer than all other tests of the docs."""
    if not script.is_file():
        return f"{script.relative_to(ROOT)}: no such file"
    options = {word.partition("=")[0] for word in arguments if word.startswith("-")}
    if script.suffix != ".py":
        return None
    texts = {node.value for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Constant)}
    for package in re.findall(r"^from ((?:scripts\.)?fault_bench\S*) import", script.read_text(), re.MULTILINE):
        module = ROOT / "scripts" / (package.removeprefix("scripts.").replace(".", "/") + ".py")
        texts |= {node.value for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Constant)}
    unknown = sorted(options - {text for text in texts if isinstance(text, str)})
    return f"{script.relative_to(ROOT)} has no option {', '.join(unknown)}" if unknown else None


def _fault_of_install(arguments: Sequence[str]) -> str | None:
    if sys.version_info < (3, 11):  # no tomllib
        return None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {extra for word in arguments for found in re.findall(r"\[(.*)\]", word) for extra in found.split(",")}
    unknown = asked - set(project["optional-dependencies"])
    return f"pyproject.toml has no extra {', '.join(sorted(unknown))}" if unknown else None
