"""A YAML file and its overrides -> a Config, or every problem of it at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from reid_smoke.config.overrides import Override, OverrideError, apply_override, read_override
from reid_smoke.config.problems import Sentence, either, sentences
from reid_smoke.config.schema import Config
from reid_smoke.config.yaml_tree import Tree, YamlSyntaxError, read_yaml
from reid_smoke.errors import ConfigError, nearest


@dataclass(frozen=True)
class _Problem:
    place: str  # the file, or the override
    line: int  # 0: the file as a whole
    path: str
    message: str

    def __str__(self) -> str:
        return ": ".join(
            part for part in (self.place + f":{self.line}" * bool(self.line), self.path, self.message) if part
        )


# What configs/demo.yaml says, for commands that may be called without a config.
DEMO = (
    "name=demo",
    "data.height=64",
    "data.width=32",
    "data.batch_size=10",
    "data.augment=[flip]",
    "model.backbone=resnet18",
)


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> Config:
    """The config in a YAML file (None: the demo's), with each `key=value` of `overrides` set in it, in order.

    An empty file is the reference recipe. Paths in it are relative to the current folder, as typed on a command line,
    so that a config can be kept anywhere.

    Raises ConfigError. Its message has one line for each problem: where (the file and line, or the override), which
    key, what was found, what was expected or probably meant.
    """
    if path is None:
        path, overrides = Path("the demo's config"), (*DEMO, *overrides)
        tree = read_yaml("")
    else:
        tree = _read(path)
    problems = [_Problem(str(path), line, key, message) for line, key, message in tree.problems]
    plain = {} if tree.value is None else tree.value
    applied: list[Override] = []
    for text in overrides:
        try:
            override = read_override(text)
            plain = apply_override(plain, override)
            applied.append(override)
        except OverrideError as error:
            problems.append(_Problem(f"--set {text}", 0, "", str(error).splitlines()[0]))
    try:
        config = Config.model_validate(plain)
    except ValidationError as error:
        problems += _place(path, tree, applied, error)
    if problems:
        problems.sort(key=lambda problem: (problem.place != str(path), problem.line))
        raise ConfigError("\n".join(map(str, problems)))
    return config


def _read(path: Path) -> Tree:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file.{_near_files(path)}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: this is a folder, not a YAML file.{_near_files(path / 'config.yaml')}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise ConfigError(f"{path}:{line}: not UTF-8 text: byte 0x{byte:02x}. Save it as UTF-8") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    try:
        tree = read_yaml(text)
    except YamlSyntaxError as error:
        raise ConfigError(str(_Problem(str(path), error.line or 0, "", str(error)))) from None
    if not isinstance(tree.value, dict | None):
        found = "a list" if isinstance(tree.value, list) else "a single value"
        raise ConfigError(f"{path}: the file is {found}, expected sections such as `data:` with their keys below")
    return tree


def _near_files(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f" Nor is there a folder {folder}"
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.suffix in (".yaml", ".yml"))
    except OSError:
        return ""
    near = nearest(path.name, names) or names[:3]
    return f" Did you mean {either([str(folder / name) for name in near])}?" if near else ""


def _place(path: Path, tree: Tree, applied: Sequence[Override], error: ValidationError) -> Iterator[_Problem]:
    """Each problem with the place that it came from."""
    without_overrides = _sentences_of_file(tree) if applied else set()
    for sentence in sentences(error):
        # What is wrong with the file alone stays the file's, unless the last word on this key was an override's.
        culprits = [override for override in applied if _same_start(override.path, sentence.at)]
        exact = [override for override in culprits if len(override.path) <= len(sentence.at)]
        if exact:
            yield _Problem(exact[-1].place, 0, sentence.path, sentence.text)
        elif culprits and sentence not in without_overrides:
            yield _Problem(" ".join(override.place for override in culprits), 0, sentence.path, sentence.text)
        else:
            yield _Problem(str(path), tree.line_of(sentence.at) or 0, sentence.path, sentence.text)


def _sentences_of_file(tree: Tree) -> set[Sentence]:
    try:
        Config.model_validate({} if tree.value is None else tree.value)
    except ValidationError as error:
        return set(sentences(error))
    return set()


def _same_start(one: Sequence[object], other: Sequence[object]) -> bool:
    return all(str(a) == str(b) for a, b in zip(one, other, strict=False))
