"""Other tools on the bench's trainings, each attached as its own README shows; what they say is kept word for word.

torchtest2 gets the model, the loss, the optimizer and one batch, before the first step. runmedic reads the log of
200 steps. traintools is called in the loop at the places that its Quick Start shows. Where a README leaves a choice,
the tool is given what is likelier to serve it:

- torchtest2 is told which parameters the config means to freeze, as its `frozen=` wants.
- runmedic's log holds loss, learning rate and gradient norm of every step, and the traceback of a crash. Times are
  left out: they would be this machine's, and no fault of the training.
- traintools looks at every batch, and at the gradients of the first 20 steps and of every tenth after them: a look
  takes it longer than the step. It is given the training's own limit where it clips, and none where it does not: the
  1.0 of its example complains of healthy steps, too. Gradients under a GradScaler are unscaled while it
  looks.
- Of several learning rates both get the smallest, the backbone's: with the head's, which comes first in the optimizer,
  traintools complains of the healthy set-up at nearly every step.
- The loop's mistakes that the bench makes by changing the optimizer's methods are so seen by a tool that calls these
  itself. In a user's loop it would not see them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import math
import re
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fault_bench.parts import Parts, assemble, open_parts
from fault_bench.run import Case
from reid_smoke.build.training import Training

TOOLS = ("torchtest2", "runmedic", "traintools")
STEPS = 200
EVERY_STEP_UNTIL, THEN_EVERY = 20, 10  # traintools' looks at the gradients


def missing() -> list[str]:
    """Which of the tools are not installed."""
    return [name for name in TOOLS if importlib.util.find_spec(name) is None]


def hear(case: Case) -> dict[str, dict[str, Any]]:
    """What each tool says of this training: `said`, word for word, and its `complaints`, the first one first.

    A complaint is `lead`, what is said first and for certain; `rest`, what is offered besides; and `firm`, which is
    False where the tool itself only hints. `error` is there where the tool broke off. Never raises for a tool's sake.
    """
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        return {"torchtest2": _torchtest2(case), **_in_the_loop(case)}


def _complaint(lead: str, rest: str = "", *, firm: bool = True) -> dict[str, Any]:
    return {"lead": lead, "rest": rest, "firm": firm}


@contextlib.contextmanager
def _assembled(case: Case) -> Iterator[tuple[Parts, Training]]:
    with tempfile.TemporaryDirectory() as folder:
        parts = open_parts(case.setup.plan, case.setup.shape_model, case.seed, Path(folder))
        yield parts, assemble(parts, case.changes)


# --- torchtest2: one call, one batch ------------------------------------------------------------------------------


def _torchtest2(case: Case) -> dict[str, Any]:
    from torchtest2 import check_model

    with _assembled(case) as (_, training):
        try:
            images, labels, *_ = next(iter(training.loader))
            report = check_model(
                training.model, images, labels, loss_fn=training.loss, optimizer=training.optimizer,
                frozen=_meant_frozen(training),
            )  # fmt: skip
        except Exception:
            return _broke_off()
    complaints = []
    for result in report.failures + report.warnings:
        lead, _, rest = result.message.partition("; ")  # after it stands what may be the cause and what to look at
        complaints.append(_complaint(f"{result.name}: {lead}", rest, firm=result.status.value == "FAIL"))
    return {"said": str(report), "complaints": complaints}


def _meant_frozen(training: Training) -> list[str]:
    """The config's patterns as torchtest2 wants them, by name; a pattern that matches nothing stays as it is."""
    names = [name for name, _ in training.model.named_parameters()]
    found: list[str] = []
    for pattern in training.config.model.freeze:
        found += [name for name in names if re.search(pattern, name)] or [pattern.replace("^", "").replace("\\", "")]
    return found


# --- runmedic and traintools: beside the loop ---------------------------------------------------------------------


def _in_the_loop(case: Case) -> dict[str, dict[str, Any]]:
    with _assembled(case) as (parts, training):
        log, traintools = _Log(training), _Traintools(training)
        loop = _Loop(training, [log, traintools])
        try:
            with _after_backward(loop.backward_ended):
                # one more than asked for: the loop does not ask after its last step whether to stop
                parts.train(loop.training(), max_steps=STEPS + 1, stop=loop.step_ended)
        except Exception:  # a crash is part of some faults
            log.lines.append(traceback.format_exc())
        return {"runmedic": _runmedic("\n".join(log.lines), parts.folder), "traintools": traintools.heard()}


class _Listener:
    """What a tool, or the log, is told of a step. A tool that fails is heard no more, and the training goes on."""

    def batch(self, step: int, images: Tensor, labels: Tensor) -> None: ...
    def gradients(self, step: int) -> None: ...
    def ended(self, step: int, images: Tensor, labels: Tensor, loss: float) -> None: ...


class _Loop:
    """Tells the listeners of a training's batches, gradients and steps, where a user would have put their calls."""

    def __init__(self, training: Training, listeners: list[_Listener]) -> None:
        self._training, self._listeners = training, listeners
        self._step = 1
        self._images = self._labels = torch.empty(0)
        self._loss = math.nan
        self._saw_gradients = False

    def training(self) -> Training:
        return replace(self._training, loader=_Told(self._training.loader, self._batch), loss=self._told_loss)  # type: ignore[arg-type]

    def _batch(self, batch: Any) -> None:
        self._images, self._labels, *_ = batch
        for listener in self._listeners:
            listener.batch(self._step, self._images, self._labels)

    def _told_loss(self, output: Any, labels: Tensor) -> Tensor:
        loss = self._training.loss(output, labels)
        self._loss = float(loss)
        return loss

    def backward_ended(self) -> None:
        self._saw_gradients = True
        with _unscaled(self._training):
            for listener in self._listeners:
                listener.gradients(self._step)

    def step_ended(self, step: int) -> bool:
        if not self._saw_gradients:  # no backward in this loop: the look at the gradients stands there all the same
            self.backward_ended()
        for listener in self._listeners:
            listener.ended(step, self._images, self._labels, self._loss)
        self._saw_gradients, self._step = False, step + 1
        return step >= STEPS


@dataclass
class _Told:
    """A loader that tells of its batches before the loop gets them."""

    loader: Any
    tell: Callable[[Any], None]

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.loader:
            self.tell(batch)
            yield batch


@contextlib.contextmanager
def _after_backward(tell: Callable[[], None]) -> Iterator[None]:
    backward = torch.autograd.backward

    def told(*args: Any, **kwargs: Any) -> None:
        backward(*args, **kwargs)
        tell()

    torch.autograd.backward = told
    try:
        yield
    finally:
        torch.autograd.backward = backward


@contextlib.contextmanager
def _unscaled(training: Training) -> Iterator[None]:
    """Divide the gradients by GradScaler's scale for a moment: a power of two, so that nothing is lost."""
    scale = 1.0 if training.scaler is None else training.scaler.get_scale()
    gradients = [p.grad for p in training.model.parameters() if p.grad is not None and scale != 1.0]
    for gradient in gradients:
        gradient.div_(scale)
    yield
    for gradient in gradients:
        gradient.mul_(scale)


class _Log(_Listener):
    """The lines that a script prints, one a step."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._norm = 0.0
        self.lines: list[str] = []

    def gradients(self, step: int) -> None:
        gradients = [p.grad for p in self._training.model.parameters() if p.grad is not None]
        self._norm = float(nn.utils.get_total_norm(gradients)) if gradients else 0.0

    def ended(self, step: int, images: Tensor, labels: Tensor, loss: float) -> None:
        self.lines.append(f"step {step} loss={loss:.6f} lr={_lr(self._training):.6g} grad_norm={self._norm:.6g}")


def _lr(training: Training) -> float:
    return min(float(group["lr"]) for group in training.optimizer.param_groups)


def _runmedic(log: str, folder: Path) -> dict[str, Any]:
    (folder / "train.log").write_text(log)
    command = [sys.executable, "-m", "runmedic", "diagnose", "train.log"]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    read = subprocess.run([*command, "--json"], cwd=folder, capture_output=True, text=True)
    if said.returncode or read.returncode:
        return {"said": said.stdout, "complaints": [], "error": (said.stderr + read.stderr).strip()}
    complaints = []
    for finding in (finding for run in json.loads(read.stdout) for finding in run["findings"]):
        causes = finding["likely_causes"]
        # It lists the likelier cause first. One bullet may hold several: only the first of these is what it says first.
        first = causes[0].partition(", ")[0] if causes else ""
        lead = [finding["title"], *finding["evidence"], first]
        firm = finding["severity"] != "info"
        complaints.append(_complaint("\n".join(lead), "\n".join([*causes, *finding["fixes"]]), firm=firm))
    return {"said": said.stdout, "complaints": complaints}


class _Traintools(_Listener):
    """The three objects of its Quick Start. What they say at many steps, but for numbers, is kept once."""

    def __init__(self, training: Training) -> None:
        from traintools import BatchInspector, GradientHealthMonitor
        from traintools.callbacks.pytorch import TraintoolsTracker

        clip = training.config.train.clip
        self._training = training
        self._inspector = BatchInspector(expected_num_classes=training.num_classes)
        self._health = GradientHealthMonitor(max_grad_norm=None if clip is None else clip.norm)
        self._tracker = TraintoolsTracker(training.model, training.loss)
        self._reports: dict[str, list[Any]] = {}  # without numbers -> as first printed, first step, last step, times
        self._complaints: dict[str, dict[str, Any]] = {}
        self._error: str | None = None

    def batch(self, step: int, images: Tensor, labels: Tensor) -> None:
        self._ask(step, lambda: self._inspector.inspect(images, labels, step=step))

    def gradients(self, step: int) -> None:
        if step > EVERY_STEP_UNTIL and step % THEN_EVERY:
            return
        self._ask(step, lambda: self._health.inspect(self._training.model, step=step, lr=_lr(self._training)))

    def ended(self, step: int, images: Tensor, labels: Tensor, loss: float) -> None:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            self._ask(step, lambda: self._tracker.step(step=step, inputs=images, targets=labels))
        if printed.getvalue():
            self._print(step, printed.getvalue())

    def _ask(self, step: int, question: Callable[[], Any]) -> None:
        if self._error is not None:
            return
        try:
            report = question()
        except Exception:
            self._error = traceback.format_exc()
            return
        if report is not None and not report.ok:
            self._print(step, str(report))

    def _print(self, step: int, text: str) -> None:
        seen = self._reports.setdefault(_without_numbers(text), [text, step, step, 0])
        seen[2:] = step, seen[3] + 1
        last: dict[str, Any] | None = None
        for line in map(str.strip, text.splitlines()):
            if line.startswith("! ") and not line.startswith("! ..."):
                last = self._complaints.setdefault(_without_numbers(line), _complaint(line[2:]))
            elif last is not None and not line.startswith(("! ...", "Action")):  # the layers that are meant
                last["rest"] += f"{line}\n"

    def heard(self) -> dict[str, Any]:
        said = [
            text if times == 1 else f"{text}\n({times} times, with other numbers, until step {last})"
            for text, _, last, times in self._reports.values()
        ]
        heard = {"said": "\n".join(said), "complaints": list(self._complaints.values())}
        return heard if self._error is None else {**heard, "error": self._error}


def _without_numbers(text: str) -> str:
    """The digits of a module's name stay, those of measured values go."""
    return re.sub(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?", "#", text)


def _broke_off() -> dict[str, Any]:
    return {"said": "", "complaints": [], "error": traceback.format_exc()}
