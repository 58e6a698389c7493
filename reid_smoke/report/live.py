"""What a person sees while the training runs: a bar, and a line every 100 steps; driven by facts alone, no torch.

CE and top-1 are means over the last 20 steps: one batch of 8 says little, and top-1 of it moves in eighths.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import isfinite, log
from shutil import get_terminal_size
from statistics import fmean, median
from types import TracebackType
from typing import Any, TextIO

from tqdm import tqdm

from reid_smoke.checks.catalogue import CheckResult
from reid_smoke.facts import (
    AnyFact,
    DatasetFacts,
    EndFacts,
    GraphFacts,
    HandoverFacts,
    HandoverPlanFacts,
    OutOfMemoryFacts,
    RunFacts,
    StepFacts,
)
from reid_smoke.rule import BELOW_CHANCE

EVERY = 100  # global steps from line to line
NARROW = 60  # columns under which there is no room for a bar
RECENT = 20  # steps that the means and the pace are taken over
FORESEEN_AT = 10  # step at which a log is told how long the run will take; a terminal's bar says so all the time


class LiveDisplay:
    """A subscriber of the ledger: `ledger.subscribe(display)`.

    The bar counts the planned steps and names the step of the epoch as `394/1863`. Where `file` is no terminal there is
    no bar, only the lines. A stream that breaks silences the display; it never stops a training.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._is_terminal = file.isatty()
        self._bar: tqdm[Any] | None = None
        self._broken = False
        self._planned: int | None = None
        self._steps_per_epoch: int | None = None
        self._max_ce: float | None = None
        self._chance: float | None = None
        self._overfit = False
        self._weight: float | None = None  # of SDM, in a hand-over
        self._recent: deque[StepFacts] = deque(maxlen=RECENT)

    def __enter__(self) -> LiveDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, fact: AnyFact) -> None:
        if isinstance(fact, RunFacts):
            self._planned = fact.planned_steps
            self._steps_per_epoch = fact.steps_per_epoch
            self._max_ce = fact.max_ce
            self._overfit = fact.way_in == "overfit"
        elif isinstance(fact, DatasetFacts):
            self._set_chance(fact.identities if self._overfit else fact.num_classes)
        elif isinstance(fact, GraphFacts):
            if not self._overfit:  # there chance is among the identities of the fixed samples, not of the whole head
                self._set_chance(fact.num_classes)
        elif isinstance(fact, StepFacts):
            self._step(fact)
        elif isinstance(fact, EndFacts):
            self.close()
        elif isinstance(fact, HandoverPlanFacts):
            self._planned = fact.ends[-1]
            rising = ", ".join(f"{weight:g}" for weight in fact.weights)
            self._write(f"step {fact.step}  GO. SDM joins at {rising}; CE over {fact.limit:.2f} holds the weight")
        elif isinstance(fact, HandoverFacts):
            self._handover(fact)

    def fatal(self, result: CheckResult) -> None:
        """Say at once what ends the run."""
        finding = result.finding
        if finding is not None:
            at = f"step {finding.step}  " if finding.step else ""
            self._write(f"{at}{result.check.code} {result.check.slug}: {finding.evidence}. Stopping here.")

    def begins_anew(self, ran_out: OutOfMemoryFacts) -> None:
        """Say that a batch did not fit, and what is tried in its place."""
        self.close()
        self._recent.clear()
        self._write(
            f"step {ran_out.step + 1}  out of memory with {ran_out.batch} images a batch. "
            f"Beginning anew with {', '.join(ran_out.then)}"
        )

    def close(self) -> None:
        """Take the bar away. The lines stay, and the cursor stands at the start of an empty one."""
        bar, self._bar = self._bar, None
        if bar is not None:
            try:
                bar.close()
            except (OSError, ValueError):
                self._broken = True

    def _set_chance(self, num_classes: int) -> None:
        self._chance = log(num_classes) if num_classes > 1 else None

    def _step(self, step: StepFacts) -> None:
        self._recent.append(step)
        if step.step == FORESEEN_AT and not self._is_terminal:
            self._foresee(step)
        if step.step % EVERY == 0:
            self._write(self._line(step))
        if self._is_terminal and not self._broken:
            self._move_bar(step)

    def _foresee(self, step: StepFacts) -> None:
        took = median(s.data_s + s.compute_s for s in self._recent)  # the first steps take longer
        if self._planned and took > 0:
            left = _clock((self._planned - step.step) * took)
            self._write(
                f"step {step.step}{self._of_planned}  {took:.2g} s a step: about {left} to step {self._planned}"
            )

    def _handover(self, fact: HandoverFacts) -> None:
        """A line where the gradients were measured, a few times at each weight, and where the weight changed."""
        if isfinite(fact.cosine) or fact.weight != self._weight:
            said = [f"step {fact.step}{self._of_planned}", f"SDM weight {fact.weight:g}", f"CE {fact.ce:.3f}"]
            if isfinite(fact.sdm):
                said.append(f"SDM {fact.sdm:.2f}")
            if isfinite(fact.cosine):
                said += [f"cosine {fact.cosine:+.2f}", f"|SDM|/|CE| {fact.norm_ratio:.3g}"]
            self._write(self._folded(said))
        self._weight = fact.weight

    def _move_bar(self, step: StepFacts) -> None:
        try:
            bar = self._bar = self._bar or self._new_bar()
            bar.set_description_str(self._progress(step), refresh=False)
            bar.update(step.step - bar.n)
        except (OSError, ValueError):  # ValueError: the stream was closed
            self._broken = True

    def _new_bar(self) -> tqdm[Any]:
        return tqdm(
            total=self._planned,
            file=self._file,
            leave=False,
            dynamic_ncols=True,
            miniters=1,
            # The rest is told by the description: what tqdm would count and time are steps of its own, not the facts.
            bar_format="{bar:12} {desc}" if self._planned and not _is_narrow() else "{desc}",
        )

    def _write(self, line: str) -> None:
        encoding = getattr(self._file, "encoding", None) or "utf-8"
        line = line.encode(encoding, "replace").decode(encoding)
        try:
            if self._bar is not None:
                tqdm.write(line, file=self._file)
            elif not self._broken:
                print(line, file=self._file, flush=True)
        except (OSError, ValueError):
            self._broken = True

    def _progress(self, step: StepFacts) -> str:
        of = f"/{self._steps_per_epoch}" if self._steps_per_epoch else ""
        figures = [
            (3, f"{step.step_in_epoch}{of}"),
            (0, f"step {step.step}{self._of_planned}"),
            (1, self._ce(short=True)),
            (4, self._top1),
        ]
        took = fmean(s.data_s + s.compute_s for s in self._recent)
        if took > 0:
            figures.append((5, f"{1 / took:.1f} it/s" if took < 1 else f"{took:.1f} s/it"))
            if self._planned:
                figures.append((2, f"{_clock(max(0, self._planned - step.step) * took)} left"))
        return _fitting(figures, get_terminal_size().columns - (1 if _is_narrow() else 14))

    def _line(self, step: StepFacts) -> str:
        said = [
            f"step {step.step}{self._of_planned}",
            self._ce(short=self._is_terminal and _is_narrow()),
            self._top1,
            f"head |w| {_short(step.head_norm)}",
            f"dw/w {_power(step.head_update)}",
            f"grad {_short(step.head_grad)}",
            f"Feat(BN) {_short(step.feat_norm)}",
            f"lr {_power(step.lr_head)} / {_power(step.lr_backbone)}",
        ]
        if step.amp_scale is not None:
            said.append(f"AMP scale {step.amp_scale:.0f}")
        return self._folded(said)

    def _folded(self, said: list[str]) -> str:
        """On one line in a log; in a terminal broken between two figures, never within one."""
        if not self._is_terminal:
            return "  ".join(said)
        lines, width = [said[0]], get_terminal_size().columns
        for figure in said[1:]:
            if len(lines[-1]) + 2 + len(figure) < width:
                lines[-1] += f"  {figure}"
            else:
                lines.append(" " * 14 + figure)  # below the CE, past "step 100/300"
        return "\n".join(lines)

    @property
    def _of_planned(self) -> str:
        return f"/{self._planned}" if self._planned else ""

    @property
    def _top1(self) -> str:
        return f"top-1 {fmean(s.top1 for s in self._recent):.0%}"

    def _ce(self, *, short: bool = False) -> str:
        said = f"CE {fmean(s.ce for s in self._recent):.3f}"
        if self._chance is None:
            return said
        bar = self._chance - BELOW_CHANCE if self._max_ce is None else self._max_ce
        return f"{said} (bar {bar:.2f})" if short else f"{said} (chance {self._chance:.2f}, bar {bar:.2f})"


def _is_narrow() -> bool:
    return get_terminal_size().columns < NARROW


def _fitting(figures: Sequence[tuple[int, str]], width: int) -> str:
    """As many as fit, in their order; those of the highest number go first."""
    kept = list(figures)
    while len(kept) > 1 and len("  ".join(said for _, said in kept)) > width:
        kept.remove(max(kept))
    return "  ".join(said for _, said in kept)


def _clock(seconds: float) -> str:
    """1:05, 2:01:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _short(value: float) -> str:
    """Three digits; a dash where nothing was to be measured."""
    return f"{value:#.3g}" if isfinite(value) and (value == 0 or 1e-2 <= abs(value) < 1e3) else _power(value)


def _power(value: float | None) -> str:
    """1.0e-2, as configs write it; a dash where there is none."""
    if value is None or value != value:
        return "-"
    if not isfinite(value) or value == 0:
        return str(value).removesuffix(".0")
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"
