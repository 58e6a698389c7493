"""The register's faults and controls as changed lines of the scripts in `styles/`."""

from __future__ import annotations

STYLES = ("strong_baseline", "several_heads", "losses_in_a_dict")
Edit = dict[str, list[str]]  # place -> new lines, in which {old} stands for what was there

_PEOPLE = {
    "data": "dataset = People()",
    "classes": "num_classes = dataset.identities",
    "label": "label = self.labels[index]",
    "image": "image = (image - 0.45) / 0.225",
    "length": "return self.length",
    "sampler": "sampler = RandomIdentitySampler(dataset)",
    "train": "model.train()",
    "zero": "optimizer.zero_grad()",
    "neck": "feat = self.bottleneck(global_feat)",
}
PLACES: dict[str, dict[str, str]] = {
    "strong_baseline": {
        **_PEOPLE,
        "drawn": "optimizer.zero_grad()",
        "feature": "global_feat = self.base(x)",
        "score": "score = self.classifier(feat)",
        "ce": "loss_id = xent(score, labels)",
        "model": "model = Baseline(num_classes)",
        "optimizer": "optimizer = make_optimizer(model)",
        "schedule": (
            "scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: min(1.0, 0.25 * (epoch + 1)))"
        ),
        "schedule's step": "scheduler.step()",
        "backward": "loss.backward()",
        "step": "optimizer.step()",
    },
    "several_heads": {
        **_PEOPLE,
        "drawn": "optimizer.zero_grad()",
        "feature": "global_feat = self.base(x)",
        "score": "score = self.classifier(feat)",
        "ce": "loss_id = F.cross_entropy(score, labels)",
        "model": "model = Transformer(num_classes)",
        "optimizer": "optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)",
        "backward": "scaler.scale(loss).backward()",
        "step": "scaler.step(optimizer)",
    },
    "losses_in_a_dict": {
        **_PEOPLE,
        "drawn": "images, labels = default_collate(samples)",
        "feature": 'global_feat = self.backbone(batch["images"])',
        "score": "score = self.heads(global_feat)",
        "ce": "loss_id = F.cross_entropy(score, labels, label_smoothing=0.1)",
        "model": "model = Model(num_classes)",
        "optimizer": "optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-3)",
        "backward": "loss.backward()",
        "step": "optimizer.step()",
    },
}
NECK = {
    "strong_baseline": "model.bottleneck",
    "several_heads": "model.bottleneck",
    "losses_in_a_dict": "model.heads.bottleneck",
}


def _after(place: str, *lines: str) -> Edit:
    return {place: ["{old}", *lines]}


def _groups(what: str) -> Edit:
    return _after("optimizer", "for group in optimizer.param_groups:", f"    group.update({what})")


ANYWHERE: dict[str, Edit] = {
    "head-narrower-than-labels": {"classes": ["num_classes = dataset.identities - 3"]},
    "largest-pid-taken-for-the-count": {"classes": ["num_classes = 2 * dataset.identities"]},
    "labels-count-from-one": {"label": ["label = self.labels[index] + 1"]},
    "label-read-from-the-wrong-field": {"label": ["label = 3"]},
    "label-lost-in-collate": {"drawn": ["labels = torch.zeros_like(labels)"]},
    "all-images-of-one": {"sampler": ["sampler = RandomIdentitySampler(dataset, people=1, instances=8)"]},
    "two-people-with-eight-images": {"sampler": ["sampler = RandomIdentitySampler(dataset, people=2, instances=8)"]},
    "divided-twice-before-the-cast": {"drawn": ["images = torch.zeros_like(images)"]},
    "raw-pixels": {"image": ["image = image * 255"]},
    "divided-by-its-own-spread": {
        "drawn": [
            "images[0] = 0.0",
            "images = (images - images.mean((1, 2, 3), True)) / images.std((1, 2, 3), keepdim=True)",
        ]
    },
    "first-batch-again-and-again": {"sampler": ["sampler = [next(iter(RandomIdentitySampler(dataset)))] * 24"]},
    "sampler-is-a-generator": {"sampler": ["sampler = iter(list(RandomIdentitySampler(dataset)))"]},
    "sampler-length-in-images": {"length": ["return self.length * 16"]},
    "one-folder-of-several-is-empty": _after(
        "sampler",
        "from torch.utils.data import ConcatDataset, Subset",
        "dataset = ConcatDataset([dataset, Subset(dataset, [])])",
    ),
    "numbered-anew-each-epoch": {
        **_after("data", "dataset.label_of = list(range(dataset.identities))"),
        **_after("train", "random.shuffle(dataset.label_of)"),
        "label": ["label = self.label_of[self.labels[index]]"],
    },
    "normalised-in-place": {
        **_after("data", "dataset.images = [image.float() / 255 for image in dataset.images]"),
        "image": ["image = self.images[index].sub_(0.45).div_(0.225)"],
    },
    "labels-permuted": _after("data", "random.shuffle(dataset.labels)"),
    "softmax-in-the-model": _after("score", "score = score.softmax(1)"),
    "sigmoid-in-the-model": _after("score", "score = score.sigmoid()"),
    "relu-after-the-last-layer": _after("score", "score = score.relu()"),
    "images-of-somebody-else": {"drawn": ["images = images[torch.randperm(len(images))]"]},
    "labels-of-the-batch-before": {"drawn": ['labels, main.before = getattr(main, "before", labels), labels']},
    "maximised-by-an-option": _groups("maximize=True"),
    "gradients-turned-around": _after(
        "model",
        "for parameter in model.parameters():",
        "    if parameter.requires_grad:",
        "        parameter.register_hook(torch.neg)",
    ),
    "identities-behind-a-reversal": {
        "model": [
            "global Reversal",
            "class Reversal(torch.autograd.Function):",
            "    @staticmethod",
            "    def forward(ctx, feat):",
            "        return feat.view_as(feat)",
            "    @staticmethod",
            "    def backward(ctx, gradient):",
            "        return -gradient",
            "{old}",
        ],
        **_after("neck", "feat = Reversal.apply(feat)"),
    },
    "reshaped-for-transposed": _after("feature", "global_feat = global_feat.t().reshape(global_feat.shape)"),
    "shuffled-and-not-put-back": _after("feature", "global_feat = global_feat[torch.randperm(len(global_feat))]"),
    "update-of-a-copy": _after(
        "optimizer",
        "class StepsCopies(torch.optim.SGD):",
        "    @torch.no_grad()",
        "    def step(self, closure=None):",
        "        for group in self.param_groups:",
        "            for parameter in group['params']:",
        "                if parameter.grad is not None:",
        "                    parameter = parameter - group['lr'] * parameter.grad",
        "optimizer = StepsCopies(model.parameters(), lr=0.05)",
    ),
    "an-optimizer-that-climbs": _after(
        "optimizer",
        "class PlainSGD(torch.optim.SGD):",
        "    @torch.no_grad()",
        "    def step(self, closure=None):",
        "        for group in self.param_groups:",
        "            for parameter in group['params']:",
        "                if parameter.grad is not None:",
        "                    parameter += group['lr'] * parameter.grad",
        "optimizer = PlainSGD(model.parameters(), lr=0.05)",
    ),
    "weights-of-an-integer-division": {
        "ce": [
            "weights = torch.zeros(score.shape[1]).to(score.device)",
            "weights[:2] = 1.0",
            "loss_id = nn.functional.cross_entropy(score.float(), labels, weight=weights)",
        ]
    },
    "warm-up-by-hand": {
        **_after("optimizer", "wanted, taken = [group['lr'] for group in optimizer.param_groups], 0"),
        "step": [
            "taken += 1",
            "for group, lr in zip(optimizer.param_groups, wanted):",
            "    group['lr'] = lr * min(1.0, taken / 1500)",
            "{old}",
        ],
    },
    "step-forgotten": {"step": ["pass"]},
    "never-zeroed": {"zero": ["pass"]},
    "feature-detached": _after("feature", "global_feat = global_feat.detach()"),
    "gradient-scaled-with-zero": _after(
        "feature", "if global_feat.requires_grad:", "    global_feat.register_hook(lambda gradient: 0 * gradient)"
    ),
    "limit-copied-from-elsewhere": {"step": ["nn.utils.clip_grad_norm_(model.parameters(), 1e-12)", "{old}"]},
    "one-small-learning-rate": _groups("lr=1e-5"),
    "learning-rate-without-its-minus-sign": _groups("lr=10.0"),
    "copied-afterwards": _after("optimizer", "import copy", "original, model = model, copy.deepcopy(model)"),
    "fed-by-the-pooled-feature": _after("neck", "feat = global_feat"),
    "dead-relu-before-the-pooling": _after("feature", "global_feat = (global_feat - 100.0).relu()"),
    "every-batch-norm-in-eval": _after("train", "{neck}.eval()"),
    "older-runs-learning-rate": _after(
        "optimizer",
        "state = optimizer.state_dict()",
        "for group in state['param_groups']:",
        "    group['lr'] *= 1e-3",
        "optimizer.load_state_dict(state)",
    ),
    "head-not-saved": _after(
        "optimizer",
        "state, held = optimizer.state_dict(), [p for group in optimizer.param_groups for p in group['params']]",
        "for at, p in enumerate(held):",
        "    mean, square = torch.zeros_like(p), torch.full_like(p, 1e-4)",
        "    state['state'][at] = {'step': torch.tensor(5000.0), 'exp_avg': mean, 'exp_avg_sq': square}",
        "optimizer.load_state_dict(state)",
        "kept = {name: w for name, w in model.state_dict().items() if 'heads' not in name and 'classif' not in name}",
        "model.load_state_dict(kept, strict=False)",
    ),
    "left-in-eval-by-a-validation": {"train": ["model.eval()"]},
    "keep-probability": _after("neck", "feat = nn.functional.dropout(feat, 1.0, True)"),
    "new-reduction-caught-by-the-pattern": _after(
        "model",
        "base = model.base if hasattr(model, 'base') else model.backbone",
        "base.layers.append(nn.Conv2d(128, 2, 1, bias=False)).append(nn.Conv2d(2, 128, 1, bias=False))",
        "base.requires_grad_(False)",
    ),
    "whole-neck-frozen": _after("model", "{neck}.requires_grad_(False)"),
    # healthy
    "as-it-is": {},
    "clipped-at-five": {"step": ["nn.utils.clip_grad_norm_(model.parameters(), 5.0)", "{old}"]},
    "set-to-zero-not-to-none": {"zero": ["optimizer.zero_grad(set_to_none=False)"]},
}
# What several heads or a GradScaler make another mistake of: the other heads' CE goes on, the scaler raises.
ONE_HEAD: dict[str, Edit] = {
    "predictions-taken-for-labels": {"ce": ["labels = score.argmax(1)", "{old}"]},
    "mean-over-images-and-identities": {
        "optimizer": ["optimizer = torch.optim.SGD(model.parameters(), lr=0.05)"],
        **_after("ce", "loss_id = loss_id / score.numel()"),
    },
    "weight-x-of-zero": _after("ce", "loss_id = 0.0 * loss_id"),
    "one-minus-too-many": _after("ce", "loss_id = -loss_id"),
    "logits-detached": {"ce": ["score = score.detach()", "{old}"]},
    "feature-and-score-exchanged": _after("score", "score, global_feat = global_feat, score"),
    "clamped-away": _after("score", "score = score.clamp(min=30.0)"),
    "backward-forgotten": {"backward": ["pass"]},
    "zeroed-between": {"step": ["optimizer.zero_grad()", "{old}"]},
    "stepped-in-helper-and-loop": {"step": ["{old}", "{old}"]},
    "second-optimizer-holds-all": {
        **_after("optimizer", "second = torch.optim.SGD(model.parameters(), lr=0.05)"),
        "step": ["{old}", "second.step()"],
    },
    "backbone-in-a-second-optimizer": {
        **_after("optimizer", "second = torch.optim.SGD(list(model.parameters())[:6], lr=0.05)"),
        "step": ["{old}", "second.step()"],
    },
    "dropout-before-the-head": _after("neck", "feat = nn.functional.dropout(feat, 0.2, self.training)"),
}
EDITS: dict[str, dict[str, Edit]] = {
    style: {**ANYWHERE, **({} if style == "several_heads" else ONE_HEAD)} for style in STYLES
}
EDITS["losses_in_a_dict"]["unlabelled-boxes"] = {"drawn": ["labels = torch.full_like(labels, -100)"]}

_LINEAR = "torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters={})"
EDITS["strong_baseline"]["warm-up-of-500-steps-per-epoch"] = {"schedule": ["scheduler = " + _LINEAR.format(500)]}
EDITS["strong_baseline"]["warm-up-of-thousand-steps"] = {
    "schedule": ["scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 0.0001, total_iters=1000)"],
    "schedule's step": ["pass"],
    **_after("step", "scheduler.step()"),
}
EDITS["strong_baseline"]["schedule-never-stepped"] = {
    "schedule": ["scheduler = " + _LINEAR.format(10)],
    "schedule's step": ["pass"],
}
EDITS["several_heads"]["warm-up-of-500-steps-per-epoch"] = {
    **_after("optimizer", "scheduler = " + _LINEAR.format(500)),
    "train": ["if epoch:", "    scheduler.step()", "{old}"],
}
EDITS["several_heads"]["schedule-never-stepped"] = _after("optimizer", "scheduler = " + _LINEAR.format(10))
