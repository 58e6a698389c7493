"""What is to be run, and the fact that says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reid_smoke.config.schema import Config
from reid_smoke.facts import BaselineFacts, RunFacts

if TYPE_CHECKING:
    from reid_smoke.build.training import Training


@dataclass(frozen=True)
class Plan:
    """What to run, and what to call it."""

    config: Config
    way_in: Literal["run", "overfit", "triage"]
    command: str
    path: Path | None = None  # of the config, as it was given
    samples: int | None = None  # overfit: this many fixed samples
    epochs: int | None = None  # overfit: this often over them
    baseline: BaselineFacts | None = None  # findings that are known
    hands_over: bool = False  # run: after a GO the training goes on, with SDM


def run_facts(plan: Plan, training: Training, window: tuple[int, int], steps: int | None, ranks: int = 1) -> RunFacts:
    from reid_smoke.build.parts import BUILT_IN_HEAD
    from reid_smoke.environment import read_environment

    config = plan.config
    return RunFacts(
        way_in=plan.way_in,
        name=config.name,
        command=plan.command,
        config=str(plan.path or ""),
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        window=window,
        planned_steps=steps if steps is not None else window[1],
        steps_per_epoch=training.steps_per_epoch,
        max_ce=config.rule.max_ce,
        ignored=config.checks.ignore,
        feat_norm=config.model.feat_norm if training.understood is None and training.head == BUILT_IN_HEAD else None,
        head=training.head,
        ranks=ranks,
        environment=read_environment(str(training.device)),
    )
