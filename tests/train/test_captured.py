"""The step as one CUDA graph trains, and is seen, as the step kernel by kernel is. On a machine with a GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from reid_smoke.build.data.loader import build_loader
from reid_smoke.build.data.training_set import open_training_set
from reid_smoke.build.training import Training, build_training
from reid_smoke.config.schema import Config
from reid_smoke.facts import LoopFacts, ProbeFault, StepFacts
from reid_smoke.ledger import Ledger
from reid_smoke.probes.observer import Observer
from reid_smoke.train.captured import WARM_UP, CapturedLearner, choose_learner, why_one_by_one
from reid_smoke.train.learner import Learner
from reid_smoke.train.loop import train
from reid_smoke.watch.hooks import observing

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")

PEDESTRIANS = {"identities": 20, "height": 64, "width": 32, "batch_size": 8, "augment": ["flip", "pad_crop"]}


def training_of(device: str, **sections: Any) -> Training:
    plain = {"data": PEDESTRIANS, "model": {"backbone": "resnet18"}, "optimizer": {"lr": 1e-4}} | sections
    config = Config.model_validate(plain)
    training_set = open_training_set(config.data)
    loader = build_loader(training_set, config.data, seed=0, on_unreadable=print, device=torch.device(device))
    return build_training(config, training_set, loader, torch.device(device))


def watched(training: Training, learn: Any, steps: int = 40) -> tuple[list[StepFacts], Ledger]:
    ledger = Ledger()
    observer = Observer(ledger)
    with observing(observer):
        train(training, max_steps=steps, stop=lambda step: bool(observer.settle()), learn=learn)
    observer.finish("finished")
    assert ledger.all(ProbeFault) == []
    return ledger.steps, ledger


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({}, "only a GPU captures"),
        ({"train": {"amp": "bf16"}}, "only a GPU captures"),
    ],
)
def test_a_processor_is_asked_kernel_by_kernel(sections: dict[str, Any], words: str) -> None:
    training = training_of("cpu", **sections)
    assert why_one_by_one(training) == words
    assert isinstance(choose_learner(training), Learner)


@on_a_gpu
@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"schedule": {"name": "warmup", "per": "step", "warmup": 30}},
        {"optimizer": {"name": "sgd", "lr": 0.01, "groups": []}, "train": {"clip": {"norm": 1.0}}},
    ],
    ids=["recipe", "schedule", "clipped"],
)
def test_captured_it_trains_and_is_seen_as_one_by_one(sections: dict[str, Any]) -> None:
    alone, ledger_alone = watched(training_of("cuda", **sections), None)
    training = training_of("cuda", **sections)
    learn = choose_learner(training)
    assert isinstance(learn, CapturedLearner)
    captured, ledger = watched(training, learn)
    assert learn.fell_back is None
    assert [s.step for s in captured] == [s.step for s in alone] == list(range(1, 41))
    assert [(s.epoch, s.step_in_epoch, s.batch, s.applied) for s in captured] == [
        (s.epoch, s.step_in_epoch, s.batch, s.applied) for s in alone
    ]
    for name in ("head_norm", "feat_norm", "lr_head", "lr_backbone", "label_checksum"):
        ours, theirs = ([getattr(s, name) for s in steps] for steps in (captured, alone))
        assert ours == pytest.approx(theirs, rel=0.02, abs=1e-4), name
    # A GPU adds up in an order of its own each time, and a training makes much of little: only its beginning is alike.
    for name in ("ce", "loss", "head_update", "head_moved", "head_grad", "head_grad_applied", "backbone_grad"):
        ours, theirs = ([getattr(s, name) for s in steps[:20]] for steps in (captured, alone))
        assert ours == pytest.approx(theirs, rel=0.15, abs=1e-3), name
    assert (captured[9].clip_at, captured[9].ce_weight) == (alone[9].clip_at, alone[9].ce_weight)
    counts = [led.last(LoopFacts) for led in (ledger, ledger_alone)]
    assert counts[0] is not None
    assert counts[1] is not None
    assert counts[0].backwards == counts[1].backwards == 40
    assert counts[0].optimizer_steps == counts[1].optimizer_steps == 40


@on_a_gpu
def test_a_model_that_asks_the_gpu_for_a_number_is_trained_kernel_by_kernel() -> None:
    training = training_of("cuda")
    training.model.backbone.register_forward_hook(lambda module, inputs, output: output * float(output.mean() > -1e9))
    learn = choose_learner(training)
    steps, _ = watched(training, learn, WARM_UP + 20)
    assert isinstance(learn, CapturedLearner)
    assert learn.fell_back is not None
    assert [s.step for s in steps] == list(range(1, WARM_UP + 21))
    assert all(s.applied for s in steps)
    assert steps[-1].ce < steps[0].ce


@on_a_gpu
def test_a_capture_that_runs_out_of_memory_leaves_a_training_that_goes_on() -> None:
    """What fits kernel by kernel is trained so; a run begins anew with a smaller batch only where that does not."""
    training = training_of("cuda")

    def too_much(module: object, inputs: object, output: object) -> None:
        if torch.cuda.is_current_stream_capturing():
            torch.empty(2**50, device="cuda")

    training.model.backbone.register_forward_hook(too_much)
    learn = choose_learner(training)
    steps, _ = watched(training, learn, WARM_UP + 20)
    assert isinstance(learn, CapturedLearner)
    assert (learn.fell_back or "").startswith("OutOfMemoryError")
    assert [s.step for s in steps] == list(range(1, WARM_UP + 21))
    assert all(s.applied for s in steps)


@on_a_gpu
def test_a_smaller_last_batch_is_no_part_of_the_graph() -> None:
    training = training_of("cuda")
    batches = list(training.loader)
    short = [batch._replace(images=batch.images[:5], labels=batch.labels[:5]) for batch in batches[:1]]
    uneven = replace(training, loader=[*batches, *short])  # type: ignore[arg-type]
    steps, _ = watched(uneven, choose_learner(uneven))
    size = len(batches) + 1
    assert [s.batch for s in steps] == [5 if s.step % size == 0 else 8 for s in steps]
    assert steps[-1].ce < steps[0].ce


@on_a_gpu
@pytest.mark.parametrize("train_section", [{"amp": "fp16"}, {"accumulate": 2}])
def test_what_cannot_be_captured_is_said(train_section: dict[str, Any]) -> None:
    training = training_of("cuda", train=train_section)
    assert why_one_by_one(training)
    steps, _ = watched(training, choose_learner(training))
    assert len(steps) == 40
