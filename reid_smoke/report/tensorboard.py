"""TensorBoard scalars: one event file in the run's folder, so that `tensorboard --logdir runs` shows the runs together.

Needs the extra `tensorboard`, which is TensorBoard itself: its own writer of event files works without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from math import isnan
from pathlib import Path

from reid_smoke.errors import ReidSmokeError, UsageError
from reid_smoke.facts import RunFacts, StepFacts
from reid_smoke.ledger import Ledger
from reid_smoke.whole import whole

NAME = "events.out.tfevents.reid-smoke"  # TensorBoard looks for "tfevents"; always the same, so that none is read twice

SCALARS: dict[str, Callable[[StepFacts], float | None]] = {
    "ce": lambda s: s.ce,
    "loss": lambda s: s.loss,
    "top1": lambda s: s.top1,
    "lr/head": lambda s: s.lr_head,
    "lr/backbone": lambda s: s.lr_backbone,
    "head/norm": lambda s: s.head_norm,
    "head/update": lambda s: s.head_update,
    "gradient/head": lambda s: s.head_grad,
    "gradient/head_applied": lambda s: s.head_grad_applied,
    "gradient/backbone": lambda s: s.backbone_grad,
    "gradient/backbone_applied": lambda s: s.backbone_grad_applied,
    "feature/norm": lambda s: s.feat_norm,
    "logits/std": lambda s: s.logit_std,
    "amp/scale": lambda s: s.amp_scale,
    "time/data_s": lambda s: s.data_s,
    "time/compute_s": lambda s: s.compute_s,
}
MAY_BE_NAN = ("ce", "loss")  # elsewhere NaN says that nothing was to be measured


def write_events(ledger: Ledger, folder: Path) -> Path:
    """Write every step's scalars, in the units of StepFacts, and return the file. One of a former call is replaced.

    Raises UsageError where TensorBoard is absent, and ReidSmokeError where the file cannot be written.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError:
        raise UsageError("--format tensorboard needs TensorBoard: pip install 'reid-smoke[tensorboard]'") from None
    path = folder / NAME
    try:
        with whole(path) as beside, beside.open("wb") as file:
            records, began = RecordWriter(file), _began(ledger)
            records.write(Event(wall_time=began, file_version="brain.Event:2").SerializeToString())
            for step, seconds in _clocked(ledger):
                values = [Summary.Value(tag=tag, simple_value=value) for tag, value in _scalars(step)]
                event = Event(wall_time=began + seconds, step=step.step, summary=Summary(value=values))
                records.write(event.SerializeToString())
    except OSError as error:
        raise ReidSmokeError(f"{path}: the scalars could not be written ({error.strerror or error})") from error
    return path


def _scalars(step: StepFacts) -> Iterator[tuple[str, float]]:
    for tag, of in SCALARS.items():
        value = of(step)
        if value is not None and (tag in MAY_BE_NAN or not isnan(value)):
            yield tag, value


def _clocked(ledger: Ledger) -> Iterator[tuple[StepFacts, float]]:
    """Each step with the seconds of training up to its end."""
    seconds = 0.0
    for step in ledger.steps:
        took = step.data_s + step.compute_s
        seconds += 0.0 if isnan(took) else took
        yield step, seconds


def _began(ledger: Ledger) -> float:
    """Seconds since 1970; 0 where the run does not say."""
    run = ledger.first(RunFacts)
    try:
        return datetime.fromisoformat(run.started.replace("Z", "+00:00")).timestamp() if run is not None else 0.0
    except ValueError:
        return 0.0
