"""A loss that is an autograd.Function of the user's own, known by the words for what it ends in; no torch."""

from __future__ import annotations

from collections.abc import Iterable

OWN = " (autograd.Function)"  # behind its name
PASSED = ("Mean", "Sum", "Mul", "Div", "Neg", "Add", "View", "Squeeze", "ToCopy")  # what may stand between


def own_function(losses: Iterable[str]) -> str | None:
    """The name of one that makes the loss itself, up to sums and factors. losses: in words, the last operation in
    front: `Mean < CE (autograd.Function) < Mm`."""
    for words in losses:
        made_by = next((name for name in words.split(" < ") if name not in PASSED), "")
        if made_by.endswith(OWN):
            return made_by.removesuffix(OWN)
    return None
