"""Several losses, each with a backward of its own: one of them is judged, all the way."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import reid_smoke
from reid_smoke.facts import AnewFacts
from reid_smoke.ledger import Ledger
from reid_smoke.watch.watching import Watch
from tests.checks.tiny import Model, TinyTraining

WINDOW = (25, 40)


class Critic:
    """A classifier of its own on the features, with an optimizer of its own, as Simple-CCReID has one of clothes."""

    def __init__(self, classes: int) -> None:
        self.head = nn.Linear(512, classes)
        self.optimizer = torch.optim.Adam(self.head.parameters(), lr=1e-3)
        self.classes = classes

    def step(self, feature: Tensor) -> None:
        self.optimizer.zero_grad()
        F.cross_entropy(self.head(feature.detach()), torch.randint(self.classes, feature.shape[:1])).backward()
        self.optimizer.step()


class WithCritic(TinyTraining):
    """turns: of the critic, at each step, from `begins` on and before the identities' own."""

    turns, begins, steps = 1, 0, 40

    def after_building(self) -> None:
        self.critic = Critic(2)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        for _ in range(self.turns if self.step_number > self.begins else 0):
            self.critic.step(self.model.base(images))
        super().train_step(images, labels)


def watched(training: TinyTraining, out: Path, head: str | None = None) -> Watch:
    with reid_smoke.watch(window=WINDOW, out=out, head=re.compile(head) if head else None) as watch:
        training.train()
    return watch


def judged(watch: Watch) -> tuple[str, int, int]:
    assert watch.report is not None
    return watch.report.verdict, watch.report.rule.num_classes or 0, len(watch.ledger.steps)


def with_turns(turns: int, begins: int = 0) -> WithCritic:
    training = WithCritic()
    training.turns, training.begins = turns, begins
    return training


def test_a_critic_that_joins_later_is_beside(tmp_path: Path) -> None:
    watch = watched(with_turns(1, begins=10), tmp_path)
    assert judged(watch) == ("GO", 24, 40)
    assert watch.ledger.first(AnewFacts) is None
    assert watch.report is not None
    assert any("(heads: Linear.weight), and classifier.weight was judged" in note for note in watch.report.notes)


def test_a_critic_that_comes_first_is_found_out(tmp_path: Path) -> None:
    watch = watched(with_turns(1), tmp_path)
    assert judged(watch) == ("GO", 24, 40)  # its first step is forgotten
    assert [fact.before for fact in watch.ledger.all(AnewFacts)] == ["weight"]
    read = Ledger.read(tmp_path / "facts.jsonl")
    assert [step.step for step in read.steps] == [step.step for step in watch.ledger.steps]


def test_a_critic_that_takes_five_turns_at_each_step(tmp_path: Path) -> None:
    assert judged(watched(with_turns(5), tmp_path)) == ("GO", 24, 40)


def test_a_critic_that_the_identities_loss_goes_through_as_well(tmp_path: Path) -> None:
    class Adversarial(WithCritic):
        turns = 5

        def loss(self, images: Tensor, labels: Tensor) -> Tensor:
            feature = self.model.base(images)
            fooled = F.cross_entropy(self.critic.head(feature), labels % 2)
            return F.cross_entropy(self.model.classifier(self.model.neck(feature)), labels) - 0.01 * fooled

    assert judged(watched(Adversarial(), tmp_path)) == ("GO", 24, 40)


def test_who_is_asked_for_by_name_is_judged_whoever_came_first(tmp_path: Path) -> None:
    for name, turns in (("later", 1), ("often", 5)):
        watch = watched(with_turns(turns, begins=5), tmp_path / name, head=r"^(Linear\.)?weight$")
        assert judged(watch)[1:] == (2, 35 * turns)


def test_of_two_models_that_teach_each_other_the_first_is_judged(tmp_path: Path) -> None:
    class Mutual(TinyTraining):
        steps = 40

        def after_building(self) -> None:
            self.other = Model(self.identities)
            self.other_optimizer = torch.optim.AdamW(self.other.parameters(), lr=1e-3)

        def train_step(self, images: Tensor, labels: Tensor) -> None:
            super().train_step(images, labels)
            self.other_optimizer.zero_grad()
            F.cross_entropy(self.other(images)[0], labels).backward()
            self.other_optimizer.step()

    watch = watched(Mutual(), tmp_path)
    assert judged(watch) == ("GO", 24, 40)
    assert watch.report is not None
    assert watch.report.findings == ()


def test_heads_of_several_domains_take_turns_and_nobody_replaces_another(tmp_path: Path) -> None:
    class Domains(TinyTraining):
        steps = 40

        def after_building(self) -> None:
            self.heads = [nn.Linear(512, self.identities) for _ in range(4)]
            for head in self.heads:
                self.optimizer.add_param_group({"params": head.parameters(), "lr": 1e-2})

        def train_step(self, images: Tensor, labels: Tensor) -> None:
            self.optimizer.zero_grad()
            feature = self.model.neck(self.model.base(images))
            for head in self.heads:
                F.cross_entropy(head(feature), labels).backward(retain_graph=True)
            self.optimizer.step()

    watch = watched(Domains(), tmp_path)
    verdict, classes, steps = judged(watch)
    assert (verdict, classes) == ("GO", 24)
    assert 38 <= steps <= 42
    assert watch.report is not None
    assert watch.report.findings == ()


def test_a_training_that_goes_on_to_another_head_is_followed(tmp_path: Path) -> None:
    """A second stage: the head of the first never comes back."""

    class TwoStages(TinyTraining):
        steps = 45

        def train_step(self, images: Tensor, labels: Tensor) -> None:
            if self.step_number == 10:
                self.model = nn.ModuleDict({"first": self.model, "classifier2": nn.Linear(512, 8, bias=False)})
                self.optimizer = self.make_optimizer()
            super().train_step(images, labels)

        def loss(self, images: Tensor, labels: Tensor) -> Tensor:
            if self.step_number < 10:
                return super().loss(images, labels)
            first = self.model["first"]
            return F.cross_entropy(self.model["classifier2"](first.neck(first.base(images))), labels % 8)

    watch = watched(TwoStages(), tmp_path)
    verdict, classes, steps = judged(watch)
    assert (verdict, classes) == ("GO", 8)
    assert steps == 43  # two of them were waited for
    assert watch.report is not None
    assert watch.report.findings == ()  # the optimizer of the first stage is gone, and its head with it


class Bank(torch.autograd.Function):
    """Similarities to a memory that backward itself brings up to date, as cluster-contrast has it."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, feature: Tensor, labels: Tensor, memory: Tensor) -> Tensor:
        ctx.save_for_backward(feature, labels)
        ctx.memory = memory
        return feature @ memory.T

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        feature, labels = ctx.saved_tensors
        memory = ctx.memory
        given = gradient @ memory
        for row, label in zip(feature, labels, strict=True):
            memory[label] = F.normalize(0.2 * memory[label] + 0.8 * row, dim=0)
        return given, None, None


class WithBank(TinyTraining):
    temperature = 0.05
    steps = 40

    def after_building(self) -> None:
        self.memory = F.normalize(torch.randn(self.identities, 512))

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        feature = F.normalize(self.model.bottleneck(self.model.base(images)))
        return F.cross_entropy(Bank.apply(feature, labels, self.memory) / self.temperature, labels)


def test_no_layer_of_the_backbone_passes_for_the_head_of_a_memory_bank(tmp_path: Path) -> None:
    watch = watched(WithBank(), tmp_path)
    assert watch.report is not None
    assert (watch.report.verdict, watch.report.findings) == ("GO", ())


def test_a_memory_bank_scaled_to_nothing_is_named(tmp_path: Path) -> None:
    training = WithBank()
    training.temperature = 20.0
    watch = watched(training, tmp_path)
    assert watch.report is not None
    assert watch.report.primary is not None
    assert watch.report.primary.code == "RS207"
