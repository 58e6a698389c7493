"""What a person sees while the trials run: a bar for the one under way, a line for each that has ended; no torch."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from reid_smoke.facts import TrialFacts
from reid_smoke.triage.proof import ends

if TYPE_CHECKING:
    from tqdm import tqdm


class TrialProgress:
    """A stream that breaks silences it; it never stops a trial.

    deadline: of `time.perf_counter()`, to say how much of the budget is left.
    """

    def __init__(self, file: TextIO, deadline: float) -> None:
        self._file, self._deadline = file, deadline
        self._bar: tqdm[Any] | None = None

    def begins(self, name: str, steps: int) -> None:
        if not self._file.isatty():
            return
        from tqdm import tqdm

        with suppress(OSError, ValueError):
            self._bar = tqdm(
                total=steps, file=self._file, leave=False, dynamic_ncols=True, bar_format="{bar:12} {desc}"
            )
            self._bar.set_description_str(name)

    def steps(self, step: int, ce: float) -> None:
        if self._bar is None:
            return
        minutes, seconds = divmod(round(max(0.0, self._deadline - time.perf_counter())), 60)
        name = self._bar.desc.split("  ")[0]
        with suppress(OSError, ValueError):
            said = f"{name}  step {step}/{self._bar.total}  CE {ce:.2f}  {minutes}:{seconds:02d} of the budget left"
            self._bar.set_description_str(said, refresh=False)
            self._bar.update(step - self._bar.n)

    def ended(self, facts: TrialFacts, learned: bool) -> None:
        bar, self._bar = self._bar, None
        with suppress(OSError, ValueError):
            if bar is not None:
                bar.close()
            print(f"trial  {facts.name}: {in_words(facts, learned)}", file=self._file, flush=True)


def in_words(facts: TrialFacts, learned: bool) -> str:
    """`CE 5.99 -> 0.42, learns`"""
    found = ends(facts)
    if facts.error:
        return f"crashes with {facts.error}"
    if found is None:
        return "not one step"
    return f"CE {found[0]:.2f} -> {found[1]:.2f}, {'learns' if learned else 'does not learn'}"
