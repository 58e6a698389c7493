"""Reading a checkpoint file without running anything that is in it, and saying what a file is that is none."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reid_smoke.errors import ModelError

CONTAINERS = ("state_dict", "model", "model_state_dict")
_PICKLED = re.compile(r"GLOBAL ([\w.]+)")


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by key, on the CPU, read with weights_only=True.

    The state dict may lie at the top or under one of CONTAINERS, which may be nested. Raises ModelError, saying what
    the file is, where it is none or where reading it would mean running code.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelError(f"model.weights: {path} {what}. It takes a file that torch.save wrote.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on old pickles and storages: nothing that the user could mend here
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on bytes that are no checkpoint, unpickling raises whatever it stumbles over
        raise ModelError(f"model.weights: {path} {_what_it_is(path, error)}") from error
    tensors = _state_dict(content)
    if not tensors:
        held = f"a {type(content).__name__}"
        if isinstance(content, dict):
            held += f" of {', '.join(map(repr, list(content)[:5])) or 'nothing'}"
        raise ModelError(
            f"model.weights: {path} holds {held}, and no tensors by name at the top or under "
            f"{', '.join(CONTAINERS)}. Save model.state_dict()."
        )
    return tensors


def _state_dict(content: Any) -> dict[str, Tensor]:
    """The named tensors at the top, or else in the first container that has any; empty where there are none."""
    if not isinstance(content, dict):
        return {}
    for name in CONTAINERS:
        if inner := _state_dict(content.get(name)):
            return inner
    return {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}


def _what_it_is(path: Path, error: Exception) -> str:
    """Predicate of a sentence about a file that torch.load refused."""
    if isinstance(error, OSError):
        return f"could not be read: {error.strerror or error}."
    if pickled := _PICKLED.search(str(error)):
        return (
            f"holds a pickled {pickled[1]}, and to unpickle that means to run code from the file. If you trust it, "
            "load it once with weights_only=False and save its state dict alone."
        )
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        return "is empty."
    if start.startswith(b"version https://git-lfs"):
        return "is a git-lfs pointer, not the weights themselves. Run git lfs pull."
    if start.lstrip()[:1] == b"<":
        return "is a web page, not weights: the download got an answer in HTML."
    if start[8:9] == b"{":
        return "is a safetensors file. Save what it holds with torch.save(state_dict, path)."
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith("/constants.pkl") for name in names):
            return "is a TorchScript archive. Save its state_dict() with torch.save."
        return f"is a zip archive of other things than weights: {', '.join(names[:3])}."
    if start.startswith(b"PK"):
        return "is a torn zip archive, as a download or a copy that was cut short leaves it."
    if _is_text(start):
        return "is a text file, not weights."
    return "is no file that torch.save wrote."


def _is_text(start: bytes) -> bool:
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(start) - 4 and b"\0" not in start  # a character cut in two by the end of the sample
    return b"\0" not in start
