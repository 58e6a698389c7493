"""The figures of a batch against slow twins, written as a person would count them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from reid_smoke.probes import measure
from reid_smoke.probes.batch import Batch
from reid_smoke.probes.figures import counted_labels, read_figures
from reid_smoke.probes.under_way import Measured, Step


def figures_of(measured: Measured, updates: int = 0) -> dict[str, float]:
    """As they go: in one row to the host, and figures there."""
    step = Step(number=1, epoch=1, step_in_epoch=1, events="b", data_s=0.0, measurements=measured, updates=updates)
    return read_figures(step.numbers(step.to_row()), updates)


def batch_of(rows: int, classes: int, ignored: list[int], seed: int) -> tuple[Batch, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, classes, generator=generator)
    labels = torch.randint(classes, (rows,), generator=generator)
    labels[ignored] = -100
    return Batch(F.log_softmax(logits, 1), labels), logits


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(2, 9), classes=st.integers(2, 12), ignore=st.integers(0, 3), seed=st.integers(0, 10**6))
def test_classification_figures_count_as_a_person_would(rows: int, classes: int, ignore: int, seed: int) -> None:
    ignored = list(range(min(ignore, rows - 1)))
    batch, logits = batch_of(rows, classes, ignored, seed)
    figures = figures_of(measure.classification_rows(batch))
    kept = [i for i in range(rows) if i not in ignored]
    labels = [int(batch.labels[i]) for i in kept]
    chances = [[math.exp(v) for v in row] for row in logits.tolist()]
    surprise = [math.log(sum(chances[i]) / chances[i][int(batch.labels[i])]) for i in kept]
    right = [max(range(classes), key=lambda c: float(logits[i, c])) == int(batch.labels[i]) for i in kept]
    assert float(figures["ce"]) == pytest.approx(sum(surprise) / len(kept), abs=1e-4)
    assert float(figures["top1"]) == pytest.approx(sum(right) / len(kept))
    assert int(figures["batch"]) == len(kept)
    assert (int(figures["label_min"]), int(figures["label_max"])) == (min(labels), max(labels))
    assert int(figures["distinct_labels"]) == len(set(labels))
    assert float(figures["logit_std"]) == pytest.approx(float(logits.std(1).mean()), rel=1e-4)


def test_classes_travel_exactly_and_as_the_loss_had_them() -> None:
    log_probs = torch.zeros(2, 3).log_softmax(1)
    labels = torch.tensor([2, -(2**40) - 1])
    measured: Measured = {
        "before": torch.ones(1),
        **measure.classification_rows(Batch(log_probs, labels, -(2**40) - 1)),
    }
    labels.fill_(0)  # the loader's next batch, in the same memory
    step = Step(number=1, epoch=1, step_in_epoch=1, events="b", data_s=0.0, measurements=measured)
    numbers = step.numbers(step.to_row())
    assert numbers["classes"][:2] == [2, -(2**40) - 1]
    assert counted_labels(numbers) == [2]


def test_of_two_optimizers_the_larger_change_counts_and_a_plain_number_needs_no_device() -> None:
    batch, _ = batch_of(3, 4, [], 0)
    measured: Measured = {**measure.classification_rows(batch), "ce_weight": 2.0}
    step = Step(number=1, epoch=1, step_in_epoch=1, events="bss", data_s=0.0, measurements=measured)
    for changed in (3.0, 5.0):  # two weights of |w| 6 and 8, one of which moves
        step.add_update(
            {"head_update": list(torch.tensor([0.0, changed])), "head_update_of": list(torch.tensor([6.0, 8.0]))}
        )
    figures = read_figures(step.numbers(step.to_row()), step.updates)
    assert figures["head_update"] == pytest.approx(0.5)
    assert figures["ce_weight"] == 2.0
    assert math.isnan(figures["head_moved"])


def test_feature_figures_are_the_mean_norm_and_the_mean_cosine_of_pairs() -> None:
    feature = torch.randn(5, 7, generator=torch.Generator().manual_seed(3))
    pairs = [F.cosine_similarity(feature[i], feature[j], dim=0) for i in range(5) for j in range(5) if i != j]
    batch, _ = batch_of(5, 3, [], 0)
    norms = measure.feature_norms(feature)
    compared = {"feat_norms": norms, "feat_total": measure.feature_total(feature, norms)}
    figures = figures_of({**measure.classification_rows(batch), **compared})
    assert float(figures["feat_cosine"]) == pytest.approx(float(torch.stack(pairs).mean()), abs=1e-5)
    assert float(figures["feat_norm"]) == pytest.approx(sum(float(row.norm()) for row in feature) / 5, rel=1e-5)


def test_channels_are_alive_when_they_vary() -> None:
    feature = torch.randn(8, 10)
    feature[:, :4] = 2.5  # dead: the same for everybody
    feature[:, 4] = 1e-9 * torch.arange(8) + 1.0  # rounding noise on a constant
    assert float(measure.channels_alive(feature)) == pytest.approx(0.5)


def test_a_parameter_without_a_gradient_counts_nothing() -> None:
    one, two = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2))
    one.grad = torch.tensor([3.0, 0.0, 4.0])
    both, none = measure.Watched([one, two], 8), measure.Watched([two], 8)
    norms = measure.lengths({"both": both.gradients(), "none": none.gradients()})
    assert {name: [float(norm) for norm in some] for name, some in norms.items()} == {"both": [5.0], "none": []}


def test_of_a_large_weight_rows_are_sampled() -> None:
    watched = measure.Watched([torch.nn.Parameter(torch.ones(1000, 100))], most=10_000)
    assert [tuple(t.shape) for t in watched.sample()] == [(100, 100)]


def test_sentinels_reach_from_the_first_layer_to_the_last() -> None:
    parameters = [(f"layer{i}", torch.nn.Parameter(torch.zeros(4, 4))) for i in range(20)]
    chosen = measure.choose_sentinels(parameters)
    assert len(chosen) == 4
    assert chosen[0] is parameters[0][1]
    assert chosen[-1] is parameters[-1][1]
