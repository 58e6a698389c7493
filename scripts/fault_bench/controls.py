"""Healthy trainings that look odd: nothing at all may be said about any of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fault_bench.faults.data_and_labels import Batches, people_a_batch
from fault_bench.faults.loss_and_logits import centres, loss_with
from fault_bench.parts import Change, Parts, Stage, learn
from fault_bench.setups import beside_ce, hardest_triplets
from reid_smoke.build.model import BNNeckModel, BNNeckOutput


@dataclass(frozen=True)
class Control:
    name: str
    stage: Stage
    on: tuple[str, ...]  # set-ups
    window: tuple[int, int] | None  # None: the set-up's
    change: Change
    title: str


_controls: list[Control] = []


def control(
    at: Stage, *, on: tuple[str, ...] = ("bnneck",), window: tuple[int, int] | None = None
) -> Callable[[Change], Change]:
    def declare(change: Change) -> Change:
        title = (change.__doc__ or "").strip().splitlines()[0].rstrip(".")
        _controls.append(Control(change.__name__.replace("_", "-"), at, on, window, change, title))
        return change

    return declare


def all_controls() -> tuple[Control, ...]:
    return tuple(_controls)


EVERYWHERE = ("bnneck", "cosine", "omniglot")
HEAD = r"^bn_neck\.classifier"


# --- the seven of a comparison of tools, which six of eight tools raised an alarm on -------------------------------


@control("plan", on=EVERYWHERE)
def as_it_is(parts: Parts) -> None:
    """The set-up itself: the neck's frozen bias, and an accuracy of 0 in the first steps."""


@control("plan", on=EVERYWHERE)
def frozen_backbone(parts: Parts) -> None:
    """A backbone that was trained before, frozen on purpose."""
    _pretrained(parts)
    parts.plan["model"]["freeze"] = ["^backbone"]
    if not parts.plan["optimizer"]["groups"]:
        parts.plan["optimizer"]["lr"] = 1e-2


@control("plan", on=EVERYWHERE)
def warm_up_per_step(parts: Parts) -> None:
    """The learning rate rises over the first 20 steps."""
    parts.plan["schedule"] = {"name": "warmup", "per": "step", "warmup": 20, "warmup_factor": 0.01}


@control("built", window=(90, 120))
def scaler_and_accumulation(parts: Parts) -> None:
    """GradScaler, whose first steps are skipped, and two batches an update."""
    parts.plan["train"] = {"accumulate": 2}
    parts.scale_with(2.0**40)


@control("plan")
def sgd_with_momentum(parts: Parts) -> None:
    """SGD with momentum and weight decay for all."""
    parts.plan["optimizer"] = {"name": "sgd", "lr": 0.05, "weight_decay": 5e-4, "groups": []}


@control("plan")
def sgd_without_momentum(parts: Parts) -> None:
    """Plain SGD."""
    groups = [{"match": HEAD, "lr": 0.5}]
    parts.plan["optimizer"] = {"name": "sgd", "lr": 0.05, "momentum": 0.0, "groups": groups}


@control("model")
def tuple_of_score_and_feature(parts: Parts) -> None:
    """The model returns `(score, feat)`."""
    forward, loss = parts.model.forward, parts.loss
    parts.model.forward = lambda images: tuple(forward(images)[:2])  # type: ignore[method-assign, assignment]
    parts.loss = lambda out, labels: loss(BNNeckOutput(out[0], out[1], out[1]), labels)


# --- what the field does, and must not be flagged -------------------------------------------------------------------


@control("plan", window=(70, 100))
def flat_while_warming_up(parts: Parts) -> None:
    """CE lies flat for dozens of steps of warm-up."""
    parts.plan["schedule"] = {"name": "warmup", "per": "step", "warmup": 60, "warmup_factor": 0.0001}


@control("built", window=(60, 90))
def scaler_skips_its_first_steps(parts: Parts) -> None:
    """GradScaler starts far too high and finds its scale."""
    parts.scale_with(2.0**48)


@control("model", on=("bnneck", "omniglot"), window=(110, 150))
def margin_softmax_at_64(parts: Parts) -> None:
    """An additive margin of 0.2 at a scale of 64: CE starts far above chance, accuracy at 0, and takes its time."""
    width, classes = parts.neck.num_features, parts.classes
    head = parts.head = nn.Linear(width, classes, bias=False)
    nn.init.xavier_uniform_(head.weight)
    head.forward = lambda f: F.linear(F.normalize(f), F.normalize(head.weight))  # type: ignore[method-assign]

    def margin(output: BNNeckOutput, labels: Tensor) -> Tensor:
        return F.cross_entropy(64.0 * (output.logits - 0.2 * F.one_hot(labels, classes)), labels)

    parts.loss = margin


@control("plan", on=("bnneck", "omniglot"), window=(90, 130))
def pk_sampling(parts: Parts) -> None:
    """Four people a batch with four images each, whose labels are not contiguous."""
    parts.plan["data"].update(sampler="pk", instances=4)


@control("model", on=("bnneck", "omniglot"))
def lora(parts: Parts) -> None:
    """A frozen backbone with a low-rank adapter whose second factor starts at 0."""
    _jitter_batch_norms(parts.model.backbone)
    parts.model.backbone.requires_grad_(False)
    width = parts.neck.num_features
    adapter = parts.model.adapter = nn.Sequential(nn.Linear(width, 4, bias=False), nn.Linear(4, width, bias=False))
    nn.init.zeros_(adapter[1].weight)
    forward = parts.model.backbone.forward

    def adapted(images: Tensor) -> Tensor:
        feature: Tensor = forward(images)
        return feature + adapter(feature)

    parts.model.backbone.forward = adapted  # type: ignore[method-assign]


# --- common variants ------------------------------------------------------------------------------------------------


@control("plan")
def adam_with_one_learning_rate(parts: Parts) -> None:
    """Adam at 1e-3 for all."""
    parts.plan["optimizer"] = {"name": "adam", "lr": 1e-3, "weight_decay": 5e-4, "groups": []}


@control("plan")
def cosine_schedule(parts: Parts) -> None:
    """A cosine over 200 steps, after a warm-up."""
    parts.plan["schedule"] = {"name": "cosine", "per": "step", "warmup": 10, "warmup_factor": 0.1, "length": 200}


@control("plan")
def bf16_autocast(parts: Parts) -> None:
    """Mixed precision in bfloat16."""
    parts.plan["train"] = {"amp": "bf16"}


@control("plan", on=EVERYWHERE, window=(80, 110))
def accumulates_two(parts: Parts) -> None:
    """Two batches an update."""
    parts.plan["train"] = {"accumulate": 2}


@control("plan", on=EVERYWHERE)
def clipped_at_five(parts: Parts) -> None:
    """The gradient's norm is clipped at 5."""
    parts.plan["train"] = {"clip": {"norm": 5.0}}


@control("plan")
def smoothed(parts: Parts) -> None:
    """Label smoothing of 0.1, by torch."""
    parts.plan["loss"] = {"label_smoothing": 0.1}


@control("model")
def smoothed_by_hand(parts: Parts) -> None:
    """Label smoothing as strong-baseline writes it."""

    def loss(output: BNNeckOutput, labels: Tensor) -> Tensor:
        log_probs = output.logits.log_softmax(1)
        targets = torch.zeros_like(log_probs).scatter_(1, labels[:, None], 1)
        return (-(0.9 * targets + 0.1 / targets.shape[1]) * log_probs).mean(0).sum()

    parts.loss = loss


@control("model", on=("cosine",))  # which draws P identities and K images of each, as a triplet loss wants them
def triplet_beside_ce(parts: Parts) -> None:
    """CE and the triplet loss, both at 1."""
    beside_ce(lambda output, labels: hardest_triplets(output.feature, labels))(parts)


@control("model")
def centre_loss_beside_ce(parts: Parts) -> None:
    """A centre loss with its small weight."""
    beside_ce(lambda output, labels: 0.01 * centres(output.feature, labels))(parts)


@control("plan")
def erased_and_shifted(parts: Parts) -> None:
    """Flips, shifted crops and random erasing."""
    parts.plan["data"]["augment"] = ["flip", "pad_crop", "erase"]


@control("plan", on=EVERYWHERE)
def first_layers_frozen(parts: Parts) -> None:
    """The first stages of a pretrained backbone are frozen."""
    _pretrained(parts)
    parts.plan["model"]["freeze"] = [r"^backbone\.(conv1|bn1|layer1)"]


@control("model")
def frozen_batch_norm_statistics(parts: Parts) -> None:
    """The batch norms of a pretrained backbone keep their statistics: `backbone.eval()` after `model.train()`."""
    _warm_statistics(parts)
    backbone = parts.model.backbone
    backbone.train = lambda mode=True: nn.Module.train(backbone, False)  # type: ignore[method-assign]


@control("model", window=(70, 100))
def dropout_before_the_head(parts: Parts) -> None:
    """Dropout of a half, as layumi's baseline has it."""
    parts.head = nn.Sequential(nn.Dropout(0.5), parts.head)


@control("model")
def head_with_torchs_own_weights(parts: Parts) -> None:
    """The head as nn.Linear draws it."""
    parts.head.reset_parameters()  # type: ignore[operator]


@control("model")
def head_of_zeros(parts: Parts) -> None:
    """A head of zeros: the backbone's first gradient is 0."""
    nn.init.zeros_(parts.head.weight)  # type: ignore[arg-type]


@control("model")
def bias_and_no_neck(parts: Parts) -> None:
    """torchreid: the pooled feature feeds a linear layer with a bias."""
    width = parts.neck.num_features
    bn_neck = parts.model.bn_neck
    del bn_neck.bn
    bn_neck.normalise = lambda feature: 8.0 * F.normalize(feature)  # type: ignore[method-assign]
    parts.head = nn.Linear(width, parts.classes)


@control("model")
def several_heads(parts: Parts) -> None:
    """A head for the global feature and two for its halves."""
    half = parts.neck.num_features // 2
    model: Any = parts.model
    model.classifier_1 = nn.Linear(half, parts.classes, bias=False)
    model.classifier_2 = nn.Linear(half, parts.classes, bias=False)

    def of_parts(output: BNNeckOutput, labels: Tensor) -> Tensor:
        left, right = output.bn_feature.chunk(2, 1)
        return 0.25 * (
            F.cross_entropy(model.classifier_1(left), labels) + F.cross_entropy(model.classifier_2(right), labels)
        )

    beside_ce(of_parts)(parts)


@control("built")
def two_optimizers(parts: Parts) -> None:
    """One for the backbone, one for the head."""
    second = torch.optim.SGD(parts.head_parameters(), lr=0.5)
    parts.optimizer = torch.optim.AdamW(parts.other_parameters(), lr=1e-4)
    _and_steps(parts, second)


@control("model")
def class_weights(parts: Parts) -> None:
    """CE with a weight for each identity."""
    weights = torch.linspace(0.5, 2.0, parts.classes)
    parts.loss = lambda output, labels: F.cross_entropy(output.logits, labels, weight=weights)


@control("model")
def focal_loss(parts: Parts) -> None:
    """CE weighed by how wrong the answer is."""

    def loss(output: BNNeckOutput, labels: Tensor) -> Tensor:
        ce = F.cross_entropy(output.logits, labels, reduction="none")
        return ((1 - torch.exp(-ce)) * ce).mean()

    parts.loss = loss


@control("model")
def mixed_up_labels(parts: Parts) -> None:
    """Two CEs of one score, each with its share, on mixed images."""
    forward = parts.model.forward
    parts.model.forward = lambda x: forward(0.8 * x + 0.2 * x.flip(0))  # type: ignore[method-assign]
    loss_with(parts, lambda loss, out, y: 0.8 * loss(out, y) + 0.2 * loss(out, y.flip(0)))


@control("built")
def smaller_last_batch(parts: Parts) -> None:
    """The last batch of each epoch holds what is left."""
    size, images = parts.config.data.batch_size, list(range(len(parts.training_set) - 5))

    def draw(random: Any) -> Iterator[list[int]]:
        random.shuffle(images)
        return (images[i : i + size] for i in range(0, len(images), size))

    parts.sample_with(Batches(draw, -(-len(images) // size), parts.seed))


@control("built")
def four_people_a_batch(parts: Parts) -> None:
    """Few people a batch, and not too few."""
    parts.sample_with(people_a_batch(parts, 4))


@control("built")
def resumed(parts: Parts) -> None:
    """A training that goes on from where it was: head, backbone and optimizer have learnt."""
    from reid_smoke.train.loop import train

    def go_on(training: Any, *, max_steps: int, stop: Any) -> int:
        return train(training, max_steps=max_steps, stop=stop)

    learn(parts, 60)
    parts.train = go_on


@control("built")
def resumed_from_a_checkpoint(parts: Parts) -> None:
    """Model and optimizer are restored with load_state_dict, as they were saved."""
    fresh = copy.deepcopy(parts.model.state_dict())
    learn(parts, 100)
    saved = copy.deepcopy({"model": parts.model.state_dict(), "optimizer": parts.optimizer.state_dict()})
    parts.model.load_state_dict(fresh)

    def restore() -> None:
        parts.model.load_state_dict(saved["model"])
        parts.optimizer.load_state_dict(saved["optimizer"])

    parts.begin_with(restore)


@control("built")
def teacher_beside(parts: Parts) -> None:
    """An EMA teacher with batch norms of its own, in eval mode."""
    teacher: BNNeckModel = copy.deepcopy(parts.model)
    teacher.eval()

    def around(step: Any) -> Any:
        result = step()
        with torch.no_grad():
            for slow, fast in zip(teacher.parameters(), parts.model.parameters(), strict=True):
                slow.lerp_(fast, 0.01)
        return result

    parts.step_with(around)


@control("built")
def set_to_zero_not_to_none(parts: Parts) -> None:
    """`zero_grad(set_to_none=False)`."""
    zero = parts.optimizer.zero_grad
    parts.optimizer.zero_grad = lambda set_to_none=True: zero(set_to_none=False)  # type: ignore[method-assign]


@control("built", window=(70, 100))
def head_alone_at_first(parts: Parts) -> None:
    """torchreid's fixbase: the backbone is frozen for the first ten steps."""
    steps = [0]
    backbone = [p for p in parts.model.backbone.parameters() if p.requires_grad]
    for parameter in backbone:
        parameter.requires_grad_(False)

    def around(step: Any) -> Any:
        steps[0] += 1
        if steps[0] == 10:
            for parameter in backbone:
                parameter.requires_grad_(True)
        return step()

    parts.step_with(around)


@control("model")
def unused_second_dropout(parts: Parts) -> None:
    """A batch norm and a linear layer of an option that is off: built, never called."""
    parts.model.unused = nn.Sequential(nn.Linear(512, 256), nn.BatchNorm1d(256))


# --- what several share ---------------------------------------------------------------------------------------------


def _pretrained(parts: Parts) -> None:
    """A checkpoint of the backbone whose batch norms have been somewhere."""
    from reid_smoke.build.backbones import build_backbone

    torch.manual_seed(parts.seed)
    data = parts.plan["data"]
    backbone, _ = build_backbone(parts.plan["model"]["backbone"], height=data["height"], width=data["width"])
    _jitter_batch_norms(backbone)
    torch.save(backbone.state_dict(), parts.folder / "pretrained.pth")
    parts.plan["model"]["weights"] = str(parts.folder / "pretrained.pth")


def _jitter_batch_norms(module: nn.Module) -> None:
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.8, 1.2)
            nn.init.normal_(norm.bias, std=0.05)


def _warm_statistics(parts: Parts) -> None:
    """Let the batch norms see some images, as a pretraining would."""
    with torch.no_grad():
        for number, (images, *_) in enumerate(parts.loader):
            parts.model.backbone(images)
            if number == 12:
                return


def _and_steps(parts: Parts, second: torch.optim.Optimizer) -> None:
    zero = parts.optimizer.zero_grad

    def zero_both(set_to_none: bool = True) -> None:
        zero(set_to_none)
        second.zero_grad(set_to_none)

    def around(step: Any) -> Any:
        second.step()
        return step()

    parts.optimizer.zero_grad = zero_both  # type: ignore[method-assign]
    parts.step_with(around)
