"""The catalogue of faults: one fault is one file, found by walking this package; no torch.

A check takes the facts named in `needs` and returns a Finding or nothing. Its docstring is its documentation:
the first line is the fault's title, and the sections What it means, Why it stops learning, Mend and Seen in are what
`explain`, the catalogue page and the report show.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

from reid_smoke.errors import UsageError, nearest
from reid_smoke.facts import Fact, RunFacts
from reid_smoke.ledger import Ledger
from reid_smoke.rule import Curve

# What a check can be given: facts of a kind, or what the rule says of CE so far.
Source = type[Fact] | type[Curve]

Severity = Literal["fatal", "fail", "warn"]
GRAVITY: dict[Severity, int] = {"warn": 0, "fail": 1, "fatal": 2}
Part = Literal["data", "model", "optimizer"]
Status = Literal["pass", "warn", "fail", "skipped", "error", "ignored"]


@dataclass(frozen=True)
class Finding:
    """What a check saw. `evidence` is numbers with units; `mend` overrides the docstring's where it can be exact."""

    evidence: str
    step: int = 0  # where it became certain; 0: before the first step
    mend: str | None = None
    severity: Severity | None = None  # None: the check's own


@dataclass(frozen=True)
class Check:
    """One entry of the catalogue."""

    code: str
    slug: str
    severity: Severity
    needs: tuple[Source, ...]
    uses: tuple[Source, ...]
    explains: tuple[str, ...]
    when: Literal["any", "end"]
    lies_in: Part | None
    judge: Callable[..., Finding | None] = field(repr=False)

    @property
    def title(self) -> str:
        return self.documentation.splitlines()[0].rstrip(".")

    @property
    def reads_ce_alone(self) -> bool:
        """It says what CE does, and speaks for no cause of it."""
        return (*self.needs, *self.uses) == (Curve,)

    @property
    def documentation(self) -> str:
        return inspect.cleandoc(self.judge.__doc__ or "")

    def section(self, heading: str) -> str:
        """The text under `heading:` in the docstring, without the heading; empty where there is none."""
        lines = self.documentation.splitlines()
        if f"{heading}:" not in lines:
            return ""
        start = lines.index(f"{heading}:") + 1
        end = next((i for i in range(start, len(lines)) if lines[i] and not lines[i].startswith(" ")), len(lines))
        return textwrap.dedent("\n".join(lines[start:end])).strip()


@dataclass(frozen=True)
class CheckResult:
    check: Check
    status: Status
    finding: Finding | None = None
    error: str = ""
    reason: str = ""  # why the user wants the check ignored; "": they do not
    known: bool = False  # its finding stands in the baseline

    @property
    def severity(self) -> Severity:
        return (self.finding.severity if self.finding else None) or self.check.severity

    @property
    def counts(self) -> bool:
        """There is a finding, and nobody wants it ignored."""
        return self.finding is not None and not self.reason

    def ignored(self, reason: str) -> CheckResult:
        """The same, where the user gave a reason to ignore the check."""
        return replace(self, status="ignored" if self.finding is not None else self.status, reason=reason)


def check(
    code: str,
    *,
    slug: str,
    severity: Severity,
    needs: Sequence[Source] = (),
    uses: Sequence[Source] = (),
    explains: Sequence[str] = (),
    when: Literal["any", "end"] = "any",
    lies_in: Part | None = None,
) -> Callable[[Callable[..., Finding | None]], Check]:
    """Declare a check.

    code: RS and three digits; its meaning never changes.
    slug: names the fault, not the cure.
    severity: `fatal` is certain and ends the run; `fail` makes a No-Go; `warn` is reported.
    needs, uses: kinds of facts. For each the function gets a list, oldest first; for Curve, the curve that the rule
        reads from the facts. Where one that it needs is absent, or all that it uses, the check is skipped.
    explains: codes of faults that follow from this one. When both fire, this one is the cause.
    when: `end` waits until the window has closed or the training ended; `any` is asked as facts come in.
    lies_in: the whole part that has to be changed to take the fault away, where nothing smaller does; of the family
        RS1 it is the data.
    """
    part: Part | None = lies_in or ("data" if code.startswith("RS1") else None)

    def declare(function: Callable[..., Finding | None]) -> Check:
        return Check(code, slug, severity, tuple(needs), tuple(uses), tuple(explains), when, part, function)

    return declare


@cache
def catalogue() -> tuple[Check, ...]:
    """Every check of the package, by code."""
    import reid_smoke.checks as package

    found: dict[str, Check] = {}
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Check):
                twin = found.setdefault(value.code, value)
                if twin is not value:
                    raise RuntimeError(f"{value.code} stands twice in the catalogue: {twin.slug}, {value.slug}")
    return tuple(found[code] for code in sorted(found))


def find_check(code_or_slug: str) -> Check:
    """The check of that code or slug. Raises UsageError, naming the nearest."""
    wanted = code_or_slug.strip()
    names: dict[str, Check] = {}
    for entry in catalogue():
        names[entry.code.lower()] = names[entry.slug] = entry
    if wanted.lower() in names:
        return names[wanted.lower()]
    near = nearest(wanted.lower(), list(names))
    near = [name if name == names[name].slug else names[name].code for name in near]
    hint = f" Did you mean {' or '.join(near)}?" if near else " `reid-smoke explain` lists them all."
    raise UsageError(f"no check is called {wanted!r}.{hint}")


def check_of(code: str) -> Check | None:
    """None for a code of another version."""
    return next((entry for entry in catalogue() if entry.code == code), None)


def run_check(entry: Check, ledger: Ledger, curve: Curve) -> CheckResult:
    """One check against a ledger. A check that crashes is an error, never a pass and never the end of the run."""

    def given(source: Source) -> Any:
        return ledger.all(source) if issubclass(source, Fact) else curve

    def is_there(source: Source) -> bool:
        return bool(ledger.all(source) if issubclass(source, Fact) else curve.ce.curve)

    if not all(map(is_there, entry.needs)) or (not entry.needs and not any(map(is_there, entry.uses))):
        return CheckResult(entry, "skipped")
    try:
        finding = entry.judge(*map(given, (*entry.needs, *entry.uses)))
    except Exception as error:  # any fault of a check is a fact about that check alone
        return CheckResult(entry, "error", error=f"{type(error).__name__}: {error}")
    if finding is None:
        return CheckResult(entry, "pass")
    severity = finding.severity or entry.severity
    return CheckResult(entry, "warn" if severity == "warn" else "fail", finding)


def run_checks(ledger: Ledger, curve: Curve) -> list[CheckResult]:
    """All checks against a ledger and its curve, by code. Those that wait for the end are skipped while the window is
    open; what the user wants ignored is marked so."""
    run = ledger.first(RunFacts)
    results = (
        CheckResult(entry, "skipped")
        if entry.when == "end" and curve.word == "short"
        else run_check(entry, ledger, curve)
        for entry in catalogue()
    )
    reasons = run.ignored if run is not None else {}
    return [
        result.ignored(reasons[result.check.code]) if result.check.code in reasons else result for result in results
    ]


def rank(results: Sequence[CheckResult]) -> list[CheckResult]:
    """The findings that count, first cause first.

    What no other finding explains comes before what some other does; then the graver; then the earlier; then by code.
    """
    fired = [result for result in results if result.counts]
    explained = consequences(fired)
    return sorted(
        fired,
        key=lambda r: (
            r.severity == "warn",
            r.check.code in explained,
            -GRAVITY[r.severity],
            r.check.code,
        ),
    )


def consequences(results: Sequence[CheckResult]) -> dict[str, str]:
    """Code of each finding that another explains -> the code of that other."""
    fired = {r.check.code: r.severity == "warn" for r in results if r.counts}
    return {
        code: result.check.code
        for result in results
        if result.counts
        for code in result.check.explains
        # A warning explains no fault, and a fault no warning: what they would hide is too different in weight.
        if fired.get(code) == (result.severity == "warn") and code != result.check.code
    }
