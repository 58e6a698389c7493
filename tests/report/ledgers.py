"""Small runs, built from facts by hand: what a probe would have written, and what checks would have found in it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log, nan
from pathlib import Path
from statistics import fmean
from typing import Any

from reid_smoke.checks.catalogue import CheckResult, Finding, Severity, Status, check
from reid_smoke.facts import (
    CrashFacts,
    DatasetFacts,
    EndFacts,
    HandoverEndFacts,
    HandoverFacts,
    HandoverPlanFacts,
    RunFacts,
    StepFacts,
)
from reid_smoke.ledger import Ledger
from reid_smoke.report.building import build_report
from reid_smoke.report.document import Report
from reid_smoke.rule import CeFigures, RuleFigures
from reid_smoke.verdict import Verdict, VerdictWord

CHANCE = log(400)
BAR = CHANCE - 0.39


def run_facts(**changes: Any) -> RunFacts:
    facts: dict[str, Any] = {
        "way_in": "run",
        "name": "stuck",
        "command": "reid-smoke run configs/stuck.yaml",
        "started": "2026-01-05T10:00:00Z",
        "planned_steps": 300,
        "steps_per_epoch": 1863,
        "environment": {"python": "3.11.2", "torch": "2.14.1", "device": "cpu"},
    }
    return RunFacts(**(facts | changes))


def dataset_facts(**changes: Any) -> DatasetFacts:
    facts: dict[str, Any] = {
        "source": "embedded pedestrians",
        "images": 14904,
        "identities": 400,
        "cameras": 6,
        "num_classes": 400,
        "label_min": 0,
        "label_max": 399,
        "labels_out_of_range": 0,
        "images_per_identity": (12, 37, 60),
    }
    return DatasetFacts(**(facts | changes))


def step_facts(step: int, ce: float, **changes: Any) -> StepFacts:
    facts: dict[str, Any] = {
        "step": step,
        "step_in_epoch": step,
        "ce": ce,
        "loss": ce,
        "top1": min(1.0, exp(-ce)) if isfinite(ce) else 0.0,
        "batch": 8,
        "label_min": 3,
        "label_max": 391,
        "distinct_labels": 8,
        "logit_std": 0.1,
        "feat_norm": 8.0,
        "feat_cosine": 0.2,
        "channels_alive": 1.0,
        "head_norm": 1.53,
        "head_update": 3.1e-3,
        "head_moved": 0.2,
        "head_grad_before": 0.0,
        "head_grad": 0.42,
        "head_grad_applied": 0.42,
        "backbone_grad": 0.03,
        "backbone_grad_applied": 0.03,
        "backbone_update": 1.1e-5,
        "lr_head": 1e-2,
        "lr_backbone": 1e-5,
        "applied": True,
        "events": "zbs",
        "data_s": 0.004,
        "compute_s": 0.12,
    }
    return StepFacts(**(facts | changes))


def end_facts(step: int, **changes: Any) -> EndFacts:
    facts: dict[str, Any] = {
        "step": step,
        "how": "finished",
        "startup_s": 4.1,
        "train_s": 0.124 * step,
        "images_per_s": 64.5,
        "data_wait_share": 0.04,
    }
    return EndFacts(**(facts | changes))


def result(
    code: str,
    slug: str,
    title: str,
    severity: Severity,
    evidence: str = "",
    *,
    mend: str = "",
    step: int = 0,
    explains: Sequence[str] = (),
    status: Status | None = None,
    error: str = "",
) -> CheckResult:
    def judge() -> Finding | None:
        return None

    judge.__doc__ = f"{title}.\n\nMend:\n    {mend}\n"
    entry = check(code, slug=slug, severity=severity, explains=explains)(judge)
    if status is not None:
        return CheckResult(entry, status, error=error)
    finding = Finding(evidence, step=step, mend=mend)
    return CheckResult(entry, "warn" if severity == "warn" else "fail", finding)


def quiet(passed: int, skipped: int = 0) -> list[CheckResult]:
    statuses: list[Status] = ["pass"] * passed + ["skipped"] * skipped
    return [
        result(f"RS9{n:02d}", f"quiet-{n}", "Nothing to see", "fail", status=status)
        for n, status in enumerate(statuses)
    ]


def falling(step: int) -> float:
    """A CE that passes."""
    return max(2.0, CHANCE - 0.01 * step)


def flat(step: int) -> float:
    """A CE that stays at chance."""
    return CHANCE - 1e-5 * step


def trained(curve: Callable[[int], float], *facts: Any, **run: Any) -> Ledger:
    """300 steps of a run with nothing wrong but what CE and `facts` say; `run` changes its RunFacts."""
    ledger = Ledger.of([run_facts(**run), dataset_facts(), *facts])
    for n in range(1, 301):
        ledger.add(step_facts(n, curve(n)))
    ledger.add(end_facts(300))
    return ledger


def written(ledger: Ledger, folder: Path) -> Path:
    """The folder, with the ledger's facts in it as a run leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = [fact for kind in ledger._by_kind.values() for fact in kind]
    (folder / "facts.jsonl").write_text("".join(fact.model_dump_json() + "\n" for fact in facts))
    return folder


@dataclass(frozen=True)
class Case:
    ledger: Ledger
    results: list[CheckResult]
    verdict: Verdict

    @property
    def report(self) -> Report:
        return build_report(self.ledger, self.results, self.verdict)


def case(
    word: VerdictWord,
    reason: str,
    curve: Callable[[int], float],
    steps: int,
    *,
    results: Sequence[CheckResult] = (),
    run: RunFacts | None = None,
    facts: Sequence[Any] = (),
    end: EndFacts | None = None,
    num_classes: int = 400,
    bar: float = BAR,
) -> Case:
    run = run or run_facts()
    ledger = Ledger.of([run, dataset_facts(), *facts])
    per_epoch = run.steps_per_epoch or 1863
    for n in range(1, steps + 1):
        ledger.add(step_facts(n, curve(n), epoch=(n - 1) // per_epoch + 1, step_in_epoch=(n - 1) % per_epoch + 1))
    if end is not None:
        ledger.add(end)
    values = tuple((s.step, s.ce) for s in ledger.steps)
    inside = [ce for step, ce in values if run.window[0] <= step <= run.window[1]]
    looks = min(steps, run.window[1]) * 8 / num_classes
    rule = RuleFigures(num_classes, log(num_classes), bar, run.window, looks)
    trend = (values[-1][1] - values[0][1]) / len(values) * 100 if len(values) > 1 else None
    ce = CeFigures(
        first=fmean(ce for _, ce in values[:5]) if values else None,
        window_mean=fmean(inside) if inside else None,
        last=values[-1][1] if values else None,
        trend_per_100_steps=trend,
        curve=values,
    )
    return Case(ledger, list(results), Verdict(word, reason, True, rule, ce))


def stuck() -> Case:
    noise = random.Random(1)
    return case(
        "NO-GO",
        "The head's learning rate is too small for it to move. CE is 5.98; chance is log 400 = 5.99.",
        lambda step: CHANCE - 4e-5 * step + noise.gauss(0, 0.012),
        300,
        end=end_facts(300),
        results=[
            result(
                "RS405",
                "head-lr-too-small",
                "The head's learning rate is too small for it to move",
                "fail",
                "head lr 1.04e-5, |w| moved 0.00003 of itself in 300 steps; 1e-2 moves it 0.9",
                step=300,
                explains=["RS210"],
                mend=(
                    "Give the head its own group, and let the warm-up count steps instead of epochs:\n\n"
                    "```yaml\n"
                    "optimizer:\n"
                    "  groups:\n"
                    "    - {match: '^bn_neck\\.classifier', lr: 1e-2}\n"
                    "    - {match: '.*', lr: 1e-5}\n"
                    "```\n"
                    "In a loop of your own that is\n\n"
                    "    torch.optim.AdamW([\n"
                    '        {"params": head, "lr": 1e-2},\n'
                    '        {"params": rest, "lr": 1e-5},\n'
                    "    ], weight_decay=1e-4)"
                ),
            ),
            result("RS210", "ce-at-chance", "CE stays at chance", "fail", "CE 5.98 over steps 200 to 300, chance 5.99"),
            result(
                "RS501",
                "norms-in-eval",
                "Batch norms are in eval mode while training",
                "warn",
                "20 of 21 batch norms, among them backbone.layer1.0.bn1",
            ),
            *quiet(19, 3),
        ],
    )


def healthy() -> Case:
    noise = random.Random(2)
    return case(
        "GO",
        "CE is 2.49 over steps 200 to 300, under the bar of 5.60, and falling.",
        lambda step: 2.2 + (CHANCE - 2.2) * exp(-step / 95) + noise.gauss(0, 0.16),
        300,
        run=run_facts(name="demo", command="reid-smoke run configs/demo.yaml"),
        end=end_facts(300),
        results=quiet(23, 2),
    )


def handed_over() -> Case:
    """Two weights were safe, the second beyond what is sensible; the third was held."""
    noise = random.Random(7)
    weights = [(0.1, 5, 3.1), (3.0, 5, 2.6), (50.0, 2, 7.4), (3.0, 3, 4.1)]
    facts: list[Any] = [HandoverPlanFacts(step=300, weights=(0.1, 3.0, 50.0), ends=(350, 400, 450), limit=BAR + 0.1,
                                          sides="image and caption")]  # fmt: skip
    step = 300
    for weight, stretches, ce in weights:
        for n in range(stretches):
            step += 10
            pull = {"cosine": 0.15, "norm_ratio": 8.5, "shared": 89} if n in (0, 4) else {}
            facts.append(
                HandoverFacts(
                    step=step, steps=10, weight=weight, ce=ce + noise.gauss(0, 0.1), sdm=24.0 - 0.4 * n, images=100,
                    rows=200, rows_with_one_positive=194, **pull,
                )
            )  # fmt: skip
    facts.append(HandoverEndFacts(step=step, how="finished", seconds=41.0))
    return case(
        "GO",
        "CE is 3.40 over steps 200 to 300, under the bar of 5.60 and falling.",
        lambda step: 3.2 + (CHANCE - 3.2) * exp(-step / 95) + noise.gauss(0, 0.16),
        300,
        run=run_facts(name="image-text", command="reid-smoke run configs/image_text.yaml --continue"),
        end=end_facts(300),
        results=quiet(23, 2),
        facts=facts,
    )


def crash() -> Case:
    noise = random.Random(3)
    return case(
        "UNKNOWN",
        "The training crashed with RuntimeError at step 58: 57 of the 300 steps that a verdict needs were seen.",
        lambda step: CHANCE - 0.004 * step + noise.gauss(0, 0.03),
        57,
        facts=[
            CrashFacts(
                step=57,
                exception="RuntimeError",
                message="mat1 and mat2 shapes cannot be multiplied (8x512 and 2048x400)",
                where="my_pkg/models/head.py:31",
            )
        ],
        end=end_facts(57, how="crashed"),
        results=quiet(11, 12),
    )


def not_a_number() -> Case:
    noise = random.Random(4)
    return case(
        "NO-GO",
        "CE is no longer a finite number.",
        lambda step: CHANCE + 0.00001 * step**3 + noise.gauss(0, 0.05) if step < 83 else nan,
        86,
        end=end_facts(86, how="stopped"),
        results=[
            result(
                "RS207",
                "ce-not-finite",
                "CE became NaN or infinite",
                "fatal",
                "CE 11.5 at step 82, NaN at step 83; head gradient norm 3.1e4 at step 82",
                step=83,
                mend="Lower the head's lr tenfold, or clip the gradients at 1.0 before `optimizer.step()`.",
            ),
            result(
                "RS404", "lr-too-large", "The learning rate is too large", "fail", "CE rose by 5.5 in 60 steps", step=82
            ),
            result("RS302", "probe", "A check", "fail", status="error", error="KeyError: 'bn_neck'"),
            *quiet(9, 8),
        ],
    )


def overfit() -> Case:
    noise = random.Random(5)
    return case(
        "GO",
        "CE is 0.34 over steps 240 to 320, under the bar of 1.00, and falling.",
        lambda step: 5.2 * exp(-step / 70) + 0.2 + abs(noise.gauss(0, 0.05)),
        320,
        run=run_facts(
            way_in="overfit", name="demo", window=(240, 320), planned_steps=320, steps_per_epoch=32, max_ce=1.0
        ),
        end=end_facts(320),
        results=quiet(22, 3),
        num_classes=190,
        bar=1.0,
    )


def interrupted() -> Case:
    return case(
        "UNKNOWN",
        "140 of the 300 steps that a verdict needs were seen.",
        lambda step: CHANCE - 0.002 * step,
        140,
        results=quiet(11, 12),
    )


def nothing_seen() -> Case:
    return case("UNKNOWN", "No training step with a classification loss was seen.", lambda step: nan, 0)


CASES: dict[str, Callable[[], Case]] = {
    "stuck": stuck,
    "healthy": healthy,
    "handed_over": handed_over,
    "crash": crash,
    "not_a_number": not_a_number,
    "overfit": overfit,
    "interrupted": interrupted,
    "nothing_seen": nothing_seen,
}
