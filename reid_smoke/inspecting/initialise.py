"""`reid-smoke init`: recognise a data set, count it, write a config for it; no torch."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from reid_smoke.build.data.formats.files import inventory
from reid_smoke.build.data.formats.reading import FORMATS, Recognised, recognise
from reid_smoke.build.data.training_set import open_part, open_training_set
from reid_smoke.config.load import load_config
from reid_smoke.config.schema import DataConfig
from reid_smoke.errors import DataError, UsageError
from reid_smoke.inspecting.census import count, image_size, in_words, looks
from reid_smoke.inspecting.proposal import INSTANCES, config_text, default_path, propose
from reid_smoke.rule import DEFAULT_WINDOW
from reid_smoke.whole import whole


@dataclass(frozen=True)
class Initialised:
    """What was found and written, for people."""

    heading: str
    lines: list[tuple[str, str | None]]


def initialise(folder: Path, out: Path | None, *, force: bool) -> Initialised:
    """Recognise the data set in `folder`, count it, and write a config for it to `out`, whole or not at all.

    Raises UsageError: nothing recognised, or several sets; a data set that cannot be read; a config that is there
    already, or cannot be written.
    """
    found = _the_one(folder.expanduser())
    try:
        config = DataConfig.model_validate({"source": found.source, "root": found.root})
    except ValidationError:  # a name that is no valid UTF-8
        raise UsageError(
            f"{str(found.root)!r}: YAML cannot spell this name; rename the folder, or make a link to it"
        ) from None
    training_set = open_training_set(config)
    census, size = count(training_set), image_size(training_set)
    parts = {part: open_part(config, part) for part in ("query", "gallery")}
    proposal = propose(found, census, size)
    path = out or default_path(proposal)
    _write(path, config_text(found, census, proposal, shlex.quote(str(path))), force=force)
    batch = f"{proposal.batch_size} images of {proposal.height}x{proposal.width}"
    if proposal.pk:
        batch += f", {proposal.batch_size // INSTANCES} identities x {INSTANCES}"
    command = shlex.quote(str(path))
    return Initialised(
        f"{found.title} in {found.root}",
        [
            ("train", in_words(census)),
            *((part, in_words(count(there)) if there else None) for part, there in parts.items()),
            ("pictures", f"about {size[0]}x{size[1]} (height x width)" if size else "none could be read"),
            ("", ""),
            ("config", f"{path}, the recipe: {batch}"),
            ("looks", looks(proposal.batch_size, census.identities, DEFAULT_WINDOW)),
            ("one image", _singles(census.of_one_image, census.identities, proposal.pk)),
            ("next", f"reid-smoke inspect {command}"),
            ("", f"reid-smoke run {command}"),
        ],
    )


def _the_one(folder: Path) -> Recognised:
    """Raises UsageError unless there is exactly one data set."""
    if not folder.exists():
        raise UsageError(f"{folder}: no such folder")
    try:
        found = recognise(folder)
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror or error}") from None
    if len(found) == 1:
        return found[0]
    if not found:
        known = "\n".join(f"  {entry.title}: {entry.looks_for}" for entry in FORMATS.values())
        holds = "it is a file, and no CSV of path,pid,cam" if folder.is_file() else f"it holds {inventory(folder)}"
        raise DataError(
            f"{folder}: no data set was recognised; {holds}. Looked for, there and one folder below:\n{known}"
        )
    commands = "\n".join(f"  reid-smoke init {shlex.quote(str(one.root))}    # {one.title}" for one in found)
    raise DataError(f"{folder} holds {len(found)} data sets. Name one of them:\n{commands}")


def _singles(of_one_image: int, identities: int, pk: bool) -> str | None:
    if not of_one_image:
        return None
    said = f"{of_one_image:,} of {identities:,} identities have no second image"
    return f"{said}; PK sampling takes theirs {INSTANCES} times" if pk else f"{said}, so batches are drawn at random"


def _write(path: Path, text: str, *, force: bool) -> None:
    """Raises UsageError. What is written has been loaded before it gets its name."""
    if path.is_dir():
        raise UsageError(f"{path}: this is a folder; give --out the config's name")
    if path.exists() and not force:
        raise UsageError(f"{path} exists already: --force writes over it, --out names another file")
    try:
        with whole(path) as beside:
            beside.write_text(text, encoding="utf-8")
            load_config(beside)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror or error})") from None
