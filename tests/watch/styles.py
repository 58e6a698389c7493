"""ReID code bases in miniature, by what they do differently: what the model returns, where the head is, how CE is made.

Each style is a class with a `step`, which trains one batch and returns the logits that its identity loss saw.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.checks.tiny import Backbone

IDENTITIES = 24
WIDTH = 512


def bottleneck(width: int = WIDTH) -> nn.BatchNorm1d:
    neck = nn.BatchNorm1d(width)
    neck.bias.requires_grad_(False)
    return neck


def classifier(width: int = WIDTH, bias: bool = False) -> nn.Linear:
    head = nn.Linear(width, IDENTITIES, bias=bias)
    nn.init.normal_(head.weight, std=0.001)
    return head


class Style:
    """The plain form, and the base of the others: a strong baseline's `(score, global_feat)`."""

    head: str | None = "classifier.weight"
    fed_by = "batch_norm"
    neck: str | None = "bottleneck"
    backwards = 1  # a step
    sees_ce = True

    def __init__(self) -> None:
        self.model = self.make_model()
        self.criterion = self.make_criterion()
        self.optimizers = self.make_optimizers()

    def make_model(self) -> nn.Module:
        return Baseline()

    def make_criterion(self) -> nn.Module | None:
        return None

    def parameters(self) -> list[nn.Parameter]:
        extra = list(self.criterion.parameters()) if self.criterion is not None else []
        return [*self.model.parameters(), *extra]

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(self.parameters(), lr=3e-3)]

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss to call backward on, and the logits."""
        score, feat = self.model(images)
        return F.cross_entropy(score, labels) + 1e-4 * feat.pow(2).mean(), score

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss, logits = self.loss(images, labels)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        return logits.detach()


class Baseline(nn.Module):
    def __init__(self, bias: bool = False) -> None:
        super().__init__()
        self.base = Backbone()
        self.bottleneck = bottleneck()
        self.classifier = classifier(bias=bias)

    def feature(self, images: Tensor) -> Tensor:
        feat: Tensor = self.base(images)
        return feat

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        feat = self.feature(images)
        return self.classifier(self.bottleneck(feat)), feat


# --- what the model returns and takes -------------------------------------------------------------------------------


class Lists(Style):
    """TransReID: lists of scores and features, the global one's loss weighted by a half."""

    class Model(Baseline):
        def __init__(self) -> None:
            super().__init__()
            for i in range(1, 5):
                setattr(self, f"bottleneck_{i}", bottleneck(WIDTH // 4))
                setattr(self, f"classifier_{i}", classifier(WIDTH // 4))

        def forward(self, x: Tensor, label: Any = None, cam_label: Any = None) -> Any:
            feat = self.feature(x)
            parts = feat.chunk(4, 1)
            scores = [self.classifier(self.bottleneck(feat))]
            for i, part in enumerate(parts, 1):
                scores.append(getattr(self, f"classifier_{i}")(getattr(self, f"bottleneck_{i}")(part)))
            return scores, [feat, *parts]

    def make_model(self) -> nn.Module:
        return self.Model()

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        scores, _ = self.model(images, label=labels, cam_label=None)
        others = [F.cross_entropy(score, labels) for score in scores[1:]]
        return 0.5 * sum(others) / len(others) + 0.5 * F.cross_entropy(scores[0], labels), scores[0]


class DictOfLosses(Style):
    """fast-reid: the head's weight is a bare parameter of `heads`, used through F.linear; the model returns losses."""

    head = "heads.weight"
    neck = "heads.bottleneck.0"

    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bottleneck = nn.Sequential(bottleneck())
            self.weight = nn.Parameter(0.001 * torch.randn(IDENTITIES, WIDTH))

        def forward(self, feat: Tensor) -> Tensor:
            return F.linear(self.bottleneck(feat), self.weight)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = Backbone()
            self.heads = DictOfLosses.Heads()

        def forward(self, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
            feat = self.backbone(batch["images"])
            logits = self.heads(feat)
            return {"loss_cls": smoothed(logits, batch["targets"]), "loss_triplet": 0.01 * feat.std()}, logits

    def make_model(self) -> nn.Module:
        return self.Model()

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        losses, logits = self.model({"images": images, "targets": labels})
        return sum(losses.values(), torch.zeros(())), logits


class HeadWithBias(Style):
    """torchreid: a classifier with a bias, and no neck."""

    fed_by = "other"
    neck = None

    class Model(Baseline):
        def __init__(self) -> None:
            super().__init__(bias=True)
            del self.bottleneck
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.fc = nn.Linear(WIDTH, WIDTH)

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            feat = F.relu(self.fc(self.feature(images)))
            return self.classifier(feat), feat

    def make_model(self) -> nn.Module:
        return self.Model()


# --- where the head is ----------------------------------------------------------------------------------------------


class HeadInTheLoss(Style):
    """SSAN: the classifier is a part of the loss module."""

    head = "Criterion.W"
    neck = "bottleneck"

    class Criterion(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.W = nn.Parameter(0.001 * torch.randn(WIDTH, IDENTITIES))

        def forward(self, feature: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            logits = feature @ self.W
            return nn.CrossEntropyLoss()(logits, labels), logits

    class Model(Baseline):
        def __init__(self) -> None:
            super().__init__()
            del self.classifier

        def forward(self, images: Tensor) -> Tensor:
            feature: Tensor = self.bottleneck(self.feature(images))
            return feature

    def make_model(self) -> nn.Module:
        return self.Model()

    def make_criterion(self) -> nn.Module | None:
        return self.Criterion()

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        assert self.criterion is not None
        loss, logits = self.criterion(self.model(images), labels)
        return loss, logits


class HeadOfItsOwn(HeadInTheLoss):
    """Simple-CCReID: the classifier is a model of its own, with an optimizer of its own."""

    head = "Classifier.classifier.weight"

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.classifier = classifier()

        def forward(self, feature: Tensor) -> Tensor:
            logits: Tensor = self.classifier(feature)
            return logits

    def make_criterion(self) -> nn.Module | None:
        return self.Classifier()

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        assert self.criterion is not None
        return [torch.optim.Adam(m.parameters(), lr=3e-3) for m in (self.model, self.criterion)]

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        assert self.criterion is not None
        logits = self.criterion(self.model(images))
        return F.cross_entropy(logits, labels), logits


class CenterLoss(Style):
    """AGW: a second optimizer for the center loss's own parameters."""

    class Centers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.centers = nn.Parameter(torch.randn(IDENTITIES, WIDTH))

        def forward(self, feat: Tensor, labels: Tensor) -> Tensor:
            return (feat - self.centers[labels]).pow(2).sum(1).clamp(1e-12, 1e12).mean()

    def make_criterion(self) -> nn.Module | None:
        return self.Centers()

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        assert self.criterion is not None
        return [
            torch.optim.Adam(self.model.parameters(), lr=3e-3),
            torch.optim.SGD(self.criterion.parameters(), lr=0.5),
        ]

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        assert self.criterion is not None
        score, feat = self.model(images)
        return 0.0005 * self.criterion(feat, labels) + F.cross_entropy(score, labels), score


# --- how CE is made -------------------------------------------------------------------------------------------------


def smoothed(logits: Tensor, labels: Tensor, epsilon: float = 0.1) -> Tensor:
    """Label smoothing by hand, as strong-baseline's CrossEntropyLabelSmooth writes it."""
    log_probs = nn.LogSoftmax(dim=1)(logits)
    targets = torch.zeros_like(log_probs).scatter_(1, labels.unsqueeze(1), 1)
    targets = (1 - epsilon) * targets + epsilon / logits.shape[1]
    return (-targets * log_probs).mean(0).sum()


class SmoothedByHand(Style):
    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        score, _ = self.model(images)
        return smoothed(score, labels), score


class SmoothedByTorch(Style):
    """And weighted by class, with rows that are ignored."""

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        score, _ = self.model(images)
        weights = torch.linspace(0.5, 1.5, IDENTITIES)
        return 2.0 * F.cross_entropy(score, labels, weights, label_smoothing=0.1), score


class Gathered(Style):
    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        score, _ = self.model(images)
        return -F.log_softmax(score, 1).gather(1, labels[:, None]).squeeze(1).mean(), score


class Indexed(Style):
    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        score, _ = self.model(images)
        return -F.log_softmax(score, 1)[torch.arange(len(labels)), labels].mean(), score


class SmoothedAndGathered(Style):
    """timm's LabelSmoothingCrossEntropy: one part gathers, the other takes the mean."""

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        score, _ = self.model(images)
        log_probs = F.log_softmax(score, dim=-1)
        nll = -log_probs.gather(dim=-1, index=labels.unsqueeze(1)).squeeze(1)
        return (0.9 * nll + 0.1 * -log_probs.mean(dim=-1)).mean(), score


class Probabilities(Style):
    """F.cross_entropy with probabilities for targets."""

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        score, _ = self.model(images)
        return F.cross_entropy(score, F.one_hot(labels, IDENTITIES).float() * 0.9 + 0.1 / IDENTITIES), score


class LogOfSoftmax(Style):
    """MMT: the model returns probabilities, and the loss takes their log."""

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        score, _ = self.model(images)
        return F.nll_loss(torch.log(F.softmax(score, dim=1).clamp(min=1e-12)), labels), score


class ByHand(Style):
    """Negative log-likelihood from logsumexp: no log-softmax anywhere."""

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        score, _ = self.model(images)
        return (torch.logsumexp(score, 1) - score.gather(1, labels[:, None]).squeeze(1)).mean(), score


class Margin(Style):
    """ArcFace by hand: normalised feature times normalised weight, a margin on the label's logit, a scale."""

    head = "weight"
    scale = 16.0

    class Model(Baseline):
        def __init__(self) -> None:
            super().__init__()
            del self.classifier
            self.weight = nn.Parameter(torch.empty(IDENTITIES, WIDTH))
            nn.init.xavier_uniform_(self.weight)

        def forward(self, images: Tensor) -> Tensor:
            return F.linear(F.normalize(self.bottleneck(self.feature(images))), F.normalize(self.weight))

    def make_model(self) -> nn.Module:
        return self.Model()

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        cosine = self.model(images)  # (B, C)
        margin = torch.zeros_like(cosine).scatter_(1, labels[:, None], 0.2)
        logits = self.scale * (torch.acos(cosine.clamp(-1 + 1e-7, 1 - 1e-7)) + margin).cos()
        return F.cross_entropy(logits, labels), self.scale * cosine  # CE is judged without the margin


class ScaledInFront(Style):
    """CLIP: a learned temperature, its exponential in front of the feature: `scale.exp() * feat @ prototypes.T`."""

    head = "prototypes"

    class Model(Baseline):
        def __init__(self) -> None:
            super().__init__()
            del self.classifier
            self.prototypes = nn.Parameter(torch.randn(IDENTITIES, WIDTH))
            self.logit_scale = nn.Parameter(torch.tensor(2.66))

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            feat = self.feature(images)
            unit = F.normalize(self.bottleneck(feat))
            return self.logit_scale.exp() * unit @ F.normalize(self.prototypes).t(), feat

    def make_model(self) -> nn.Module:
        return self.Model()


class GateInFront(Style):
    """Channels weighted by an attention that is written in front of what it weighs."""

    class Model(Baseline):
        def __init__(self) -> None:
            super().__init__()
            self.gate = nn.Sequential(nn.Linear(WIDTH, 32), nn.ReLU(), nn.Linear(32, WIDTH), nn.Sigmoid())

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            feat = self.feature(images)
            return self.classifier(self.gate(feat) * self.bottleneck(feat)), feat

    def make_model(self) -> nn.Module:
        return self.Model()


class SubCentres(Margin):
    """Several centres a class, of which the nearest counts."""

    def make_model(self) -> nn.Module:
        model = super().make_model()
        model.weight = nn.Parameter(torch.empty(IDENTITIES * 3, WIDTH))
        nn.init.xavier_uniform_(model.weight)
        return model

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        cosine = self.model(images).view(-1, IDENTITIES, 3).max(2)[0]  # (B, C)
        margin = 0.2 * F.one_hot(labels, IDENTITIES)
        logits = self.scale * (torch.acos(cosine.clamp(-1 + 1e-7, 1 - 1e-7)) + margin).cos()
        return F.cross_entropy(logits, labels), self.scale * cosine


# --- how it is trained ----------------------------------------------------------------------------------------------


class ScaledAndAccumulated(Style):
    """GradScaler under autocast, an update every second batch."""

    def __init__(self) -> None:
        super().__init__()
        self.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        self.batches = 0

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        self.batches += 1
        with torch.autocast("cpu", dtype=torch.bfloat16):
            score, _ = self.model(images)
            loss = F.cross_entropy(score, labels) / 2
        self.scaler.scale(loss).backward()
        if self.batches % 2 == 0:
            self.scaler.step(self.optimizers[0])
            self.scaler.update()
            self.optimizers[0].zero_grad()
        return score.detach().float()


class TwoBackwards(Style):
    """The triplet loss goes backward on its own, before the identity loss."""

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        self.optimizers[0].zero_grad()
        score, feat = self.model(images)
        (1e-3 * feat.pow(2).mean()).backward(retain_graph=True)
        F.cross_entropy(score, labels).backward()
        self.optimizers[0].step()
        return score.detach()


class Checkpointed(Style):
    """Gradient checkpointing: the backbone's graph is not there yet when backward begins."""

    class Model(Baseline):
        def feature(self, images: Tensor) -> Tensor:
            from torch.utils.checkpoint import checkpoint

            feat: Tensor = checkpoint(self.base, images, use_reentrant=False)
            return feat

    def make_model(self) -> nn.Module:
        return self.Model()


class Compiled(Style):
    """The model is compiled into one node: CE is seen outside of it, the head by its shape, its feature not."""

    fed_by = "unknown"

    def make_model(self) -> nn.Module:
        model: nn.Module = torch.compile(Baseline(), backend="aot_eager")  # type: ignore[assignment]
        return model


class CompiledEagerly(Style):
    """The `eager` backend captures the model, but leaves autograd's graph as it is."""

    def make_model(self) -> nn.Module:
        model: nn.Module = torch.compile(Baseline(), backend="eager")  # type: ignore[assignment]
        return model


STYLES = [
    Style, Lists, DictOfLosses, HeadWithBias, HeadInTheLoss, HeadOfItsOwn, CenterLoss, ByHand, SmoothedByHand,
    SmoothedByTorch,
    Gathered, Indexed, SmoothedAndGathered, Probabilities, LogOfSoftmax, Margin, ScaledAndAccumulated, TwoBackwards,
    Checkpointed, Compiled, CompiledEagerly, ScaledInFront, GateInFront, SubCentres,
]  # fmt: skip
