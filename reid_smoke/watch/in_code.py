"""`with reid_smoke.watch():` around a training loop, for notebooks and for trainers of others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from reid_smoke.baseline import read_baseline
from reid_smoke.checks.ignoring import checked
from reid_smoke.rule import DEFAULT_WINDOW
from reid_smoke.watch.watching import Watch, head_pattern


def watch(
    name: str = "watch",
    *,
    window: tuple[int, int] = DEFAULT_WINDOW,
    out: str | Path | None = None,
    stop: bool = False,
    head: str | None = None,
    triage: bool = False,
    ignore: Mapping[str, str] | None = None,
    baseline: str | Path | None = None,
    say: Callable[[str], None] | None = None,
) -> Watch:
    """Watch the training inside of a `with` block, and judge it: `with reid_smoke.watch() as w:`, then `w.report`.

    name: names the folder under `runs/`. window: the steps over which CE is judged. out: a folder of your choice.
    stop: leave the block as soon as the verdict is certain.
    head: a regular expression for the name of the head's weight, where a loss has several.
    triage: after a NO-GO, try on the first batches where the fault lies; takes up to two minutes at the block's end.
    ignore: code of a check -> the reason why what it finds may stand, {"RS115": "..."}.
    baseline: a former report.json, whose findings are known.
    say: told of the verdict in a sentence when the window closes, and of a fatal finding; by default on stderr.

    Raises UsageError where window, head, ignore or baseline make no sense.

    Nothing exits, no signal is handled, and an exception of yours goes on out of the block. One watch at a time.
    """
    folder = Path(out) if out is not None else None
    return _InCode(
        name,
        window=window,
        out=folder,
        stop=stop,
        head=head_pattern(head),
        triage=triage,
        ignored=checked(ignore or {}),
        baseline=read_baseline(baseline) if baseline is not None else None,
        say=say or _say,
        tells=say is None,
    )


def _say(sentence: str) -> None:
    print(f"reid-smoke: {sentence}", file=sys.stderr, flush=True)


class _InCode(Watch):
    """A watch that tells a fault of its own, since no command line does."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        swallowed = super().__exit__(kind, error, trace)
        if self.error:
            _say(self.error)
        return swallowed
