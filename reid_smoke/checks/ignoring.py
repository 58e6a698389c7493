"""Which checks a user wants ignored, and the reason for each; no torch.

An ignored check is still asked. What it finds is shown as ignored, with the reason, ends no run and makes no NO-GO.
The verdict that CE itself gives is no check's: a CE that does not fall is NO-GO even where every check that says so is
ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reid_smoke.checks.catalogue import check_of, find_check
from reid_smoke.errors import UsageError


def known_code(text: str) -> str:
    """The code, where the catalogue has it. Raises UsageError, naming the nearest; a name is not enough, since a code
    never changes its meaning."""
    if check_of(text) is not None:
        return text
    check = find_check(text)
    raise UsageError(f"write {check.code}, the code of {check.slug}, instead of {text!r}")


def given_reason(text: str) -> str:
    """The reason on one line. Raises UsageError where there is none."""
    if not text.strip():
        raise UsageError("a check is ignored for a reason: write behind its code why what it finds may stand")
    return " ".join(text.split())


def checked(ignored: Mapping[str, str]) -> dict[str, str]:
    """Code: reason, each of them looked at. Raises UsageError."""
    return {known_code(code): given_reason(reason) for code, reason in ignored.items()}


def read_ignored(options: Sequence[str]) -> dict[str, str]:
    """`RS115=why it may stand` each -> code: reason. Raises UsageError, naming the option."""
    ignored: dict[str, str] = {}
    for option in options:
        code, _, reason = option.partition("=")
        try:
            code, reason = known_code(code.strip()), given_reason(reason)
        except UsageError as error:
            raise UsageError(f"--ignore {option}: {error}") from None
        if ignored.setdefault(code, reason) != reason:
            raise UsageError(f"--ignore {option}: {code} is ignored twice, for two reasons")
    return ignored
