import copy
import warnings
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from reid_smoke.build.data.training_set import Sample, TrainingSet
from reid_smoke.build.training import Training, build_training
from reid_smoke.config.schema import Config
from reid_smoke.errors import CouldNotJudge
from reid_smoke.train.loop import Batches, train

IDENTITIES, BATCH = 6, 4


def data(batches: int = 3) -> TensorDataset:
    generator = torch.Generator().manual_seed(5)
    n = batches * BATCH
    return TensorDataset(torch.randn(n, 3, 32, 32, generator=generator), torch.arange(n) % IDENTITIES, torch.zeros(n))


def training_of(loader=None, **sections) -> Training:
    config = Config(
        device="cpu",
        data={"height": 32, "width": 32, "batch_size": BATCH} | sections.pop("data", {}),
        model={"backbone": "squeezenet1_1"} | sections.pop("model", {}),
        **sections,
    )
    samples = tuple(Sample(pid=i % IDENTITIES, label=i % IDENTITIES, camera=0, image=i) for i in range(12))
    training_set = TrainingSet(source="noise", samples=samples, pids=tuple(range(IDENTITIES)))
    loader = DataLoader(data(), batch_size=BATCH) if loader is None else loader
    return build_training(config, training_set, loader, torch.device("cpu"))


run = partial(train, stop=lambda step: False)


def weights(training):
    return torch.cat([parameter.detach().flatten() for parameter in training.model.parameters()])


def by_hand(training, steps, accumulate=1, clip=None):
    """The same training in as few words as it takes: one flat loop, and SGD and clipping written out."""
    model = copy.deepcopy(training.model)
    lrs = {name: 0.1 if "classifier" in name else 0.01 for name, p in model.named_parameters() if p.requires_grad}
    parameters = dict(model.named_parameters())
    batches = [batch for _ in range(steps) for batch in training.loader][:steps]
    for start in range(0, steps - accumulate + 1, accumulate):
        gradients = {name: torch.zeros_like(parameters[name]) for name in lrs}
        for images, labels, _ in batches[start : start + accumulate]:
            loss = F.cross_entropy(model(images).logits, labels)
            for name, gradient in zip(lrs, torch.autograd.grad(loss, [parameters[n] for n in lrs]), strict=True):
                gradients[name] += gradient / accumulate
        norm = sum(gradient.pow(2).sum() for gradient in gradients.values()).sqrt()
        factor = min(1.0, clip / norm.item()) if clip else 1.0
        with torch.no_grad():
            for name, lr in lrs.items():
                parameters[name] -= lr * (gradients[name] * factor + 1e-4 * parameters[name])
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


SGD = {"name": "sgd", "momentum": 0.0, "lr": 0.01, "groups": [{"match": "classifier", "lr": 0.1}]}


@pytest.mark.parametrize(("accumulate", "clip"), [(1, None), (2, None), (1, 0.1), (4, 0.5)])
def test_it_takes_the_steps_that_a_plain_loop_takes(accumulate, clip):
    """With four batches to a step and three an epoch, the group goes on across the epoch's end."""
    training = training_of(train={"accumulate": accumulate, "clip": clip and {"norm": clip}}, optimizer=SGD)
    # In float64: noise of float32 grows a thousandfold at each step, in channels that hardly vary within four images.
    training.model.double()
    images, labels, cameras = data().tensors
    training = replace(training, loader=DataLoader(TensorDataset(images.double(), labels, cameras), batch_size=BATCH))
    before = weights(training)
    expected = by_hand(training, steps=5, accumulate=accumulate, clip=clip)
    assert run(training, max_steps=5) == 5
    torch.testing.assert_close(weights(training) - before, expected - before, rtol=1e-4, atol=1e-9)
    assert (expected - before).abs().max() > 1e-4


def test_it_learns_twelve_images_by_heart():
    training = training_of(optimizer={"lr": 1e-3})
    before = mean_ce(training)
    run(training, max_steps=60)
    assert before == pytest.approx(1.79, abs=0.05)  # log 6
    assert mean_ce(training) < 1.0


def mean_ce(training):
    with torch.no_grad():
        return sum(F.cross_entropy(training.model(x).logits, y).item() for x, y, _ in training.loader) / 3


def test_stop_is_asked_after_each_batch_and_obeyed():
    asked = []
    training = training_of()
    done = train(training, max_steps=100, stop=lambda step: asked.append(step) or step == 5)
    assert (done, asked) == (5, [1, 2, 3, 4, 5])
    assert run(training_of(), max_steps=7) == 7


def test_a_loop_that_ended_within_an_epoch_is_taken_up_there():
    sections = {"schedule": {"name": "warmup", "warmup": 4, "per": "epoch"}, "optimizer": SGD}
    generator = torch.Generator()

    def loader():
        return DataLoader(data(), batch_size=BATCH, shuffle=True, generator=generator.manual_seed(3))

    whole = training_of(loader(), **sections)
    run(whole, max_steps=8)
    halves = training_of(loader(), **sections)
    batches = Batches(halves)
    assert run(halves, max_steps=5, batches=batches) == 5
    assert (batches.step, batches.step_in_epoch) == (5, 2)
    assert train(halves, max_steps=100, stop=lambda step: step == 8, batches=batches) == 8
    assert torch.equal(weights(whole), weights(halves))


@pytest.mark.parametrize(("per", "applied"), [
    ("step", [0.25, 0.4375, 0.625, 0.8125, 1.0, 1.0, 1.0]),
    ("epoch", [0.25, 0.25, 0.25, 0.4375, 0.4375, 0.4375, 0.625]),
])  # fmt: skip
def test_the_schedule_goes_by_step_or_by_epoch(per, applied):
    training = training_of(schedule={"name": "warmup", "warmup": 4, "warmup_factor": 0.25, "per": per})
    seen = []
    training.optimizer.register_step_pre_hook(lambda o, *_: seen.append(o.param_groups[0]["lr"]))
    run(training, max_steps=7)
    assert seen == pytest.approx([0.01 * factor for factor in applied])


def test_a_schedule_by_step_counts_the_optimizers_steps():
    training = training_of(train={"accumulate": 2}, schedule={"name": "warmup", "warmup": 2, "warmup_factor": 0.5})
    seen = []
    training.optimizer.register_step_pre_hook(lambda o, *_: seen.append(o.param_groups[0]["lr"]))
    run(training, max_steps=7)
    assert seen == pytest.approx([0.005, 0.0075, 0.01])


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_amp_computes_in_half_and_keeps_weights_and_loss_single(amp):
    training = training_of(train={"amp": amp, "clip": {"norm": 1.0}})
    seen = []
    training.model.backbone.register_forward_hook(lambda _m, _i, output: seen.append(output.dtype))
    training.loss.register_forward_hook(lambda _m, _i, output: seen.append(output.dtype))
    before = weights(training)
    assert (training.scaler is not None) == (amp == "fp16")
    run(training, max_steps=4)
    assert seen[:2] == [torch.bfloat16 if amp == "bf16" else torch.float16, torch.float32]
    assert {p.dtype for p in training.model.parameters()} == {torch.float32}
    assert torch.isfinite(weights(training)).all()
    assert not torch.equal(before, weights(training))


def test_an_overflow_skips_the_step_and_halves_the_scale_without_a_word():
    training = training_of(train={"amp": "fp16"}, schedule={"name": "warmup", "warmup": 3})
    before = weights(training)
    steps = []
    training.optimizer.register_step_post_hook(lambda *_: steps.append(1))
    training.model.bn_neck.classifier.weight.register_hook(lambda gradient: gradient * float("inf"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # torch's; Python 3.10 warns of what others import
        # As build_training asks of Python; the line above has undone it.
        warnings.filterwarnings("ignore", message=r"Detected call of `lr_scheduler\.step")
        run(training, max_steps=2)
    assert not steps, "a skipped step must not look like a step to those who watch the optimizer"
    assert torch.equal(before, weights(training))
    assert training.scaler.get_scale() == 65536 / 4


def test_clipping_by_value_goes_through_torchs_own_door(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.nn.utils, "clip_grad_value_", lambda parameters, value: calls.append(value))
    run(training_of(train={"clip": {"value": 0.3}}), max_steps=2)
    assert calls == [0.3, 0.3]


def test_sdm_trains_along_at_its_weight():
    loader = DataLoader(
        TensorDataset(torch.randn(4, 3, 32, 32), torch.tensor([0, 0, 1, 1]), torch.zeros(4)), batch_size=BATCH
    )
    sections = {"data": {"sampler": "pk", "instances": 2}, "loss": {"sdm_weight": 0.5, "label_smoothing": 0.1}}
    training = training_of(loader, **sections)
    losses = []
    training.loss.register_forward_hook(lambda _m, _i, output: losses.append(output.detach()))
    run(training, max_steps=2)
    assert torch.isfinite(torch.stack(losses)).all()
    assert losses[0] > 1.79  # log 6, and SDM is never negative


class Dry(IterableDataset):
    """Gives its batches once, and nothing ever after, as a generator that is not made anew."""

    def __init__(self, batches: int) -> None:
        self.given = iter(list(DataLoader(data(batches), batch_size=BATCH)) if batches else [])

    def __iter__(self):
        yield from self.given

    def __len__(self) -> int:
        return 7


@pytest.mark.parametrize("batches", [0, 2])
def test_a_loader_that_runs_dry_is_told_and_not_waited_for(batches):
    training = training_of(DataLoader(Dry(batches), batch_size=None))
    with pytest.raises(CouldNotJudge, match=f"promised 7 batches an epoch and gave none after step {batches}"):
        run(training, max_steps=10)


def test_a_loader_shorter_than_its_length_is_fine():
    class Short(Dry):
        def __iter__(self):
            yield from DataLoader(data(2), batch_size=BATCH)

    assert run(training_of(DataLoader(Short(0), batch_size=None)), max_steps=5) == 5


def test_nothing_is_printed_and_nothing_warned_of(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(training_of(), max_steps=2)
    assert capsys.readouterr() == ("", "")
