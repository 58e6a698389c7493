"""Lists of scores and features, a loss made by a factory, GradScaler and bf16, an optimizer for the centres."""

import random
import sys

import torch
from people import Backbone, People, RandomIdentitySampler, hardest_triplets
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader


class CenterLoss(nn.Module):
    def __init__(self, num_classes, width):
        super().__init__()
        self.centers = nn.Parameter(torch.randn(num_classes, width))

    def forward(self, feat, labels):
        return (feat - self.centers[labels]).pow(2).sum(1).clamp(1e-12, 1e12).mean()


class Transformer(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.base = Backbone()
        self.bottleneck = nn.BatchNorm1d(self.base.width)
        self.bottleneck.bias.requires_grad_(False)
        self.classifier = nn.Linear(self.base.width, num_classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)
        half = self.base.width // 2
        self.bottlenecks = nn.ModuleList(nn.BatchNorm1d(half) for _ in range(2))
        self.classifiers = nn.ModuleList(nn.Linear(half, num_classes, bias=False) for _ in range(2))
        for bottleneck, classifier in zip(self.bottlenecks, self.classifiers, strict=True):
            bottleneck.bias.requires_grad_(False)
            nn.init.normal_(classifier.weight, std=0.001)

    def forward(self, x, label=None, cam_label=None):
        global_feat = self.base(x)
        feat = self.bottleneck(global_feat)
        score = self.classifier(feat)
        parts = global_feat.chunk(2, 1)
        scores = [head(neck(part)) for head, neck, part in zip(self.classifiers, self.bottlenecks, parts, strict=True)]
        return [score, *scores], [global_feat, *parts]


def make_loss(num_classes, width):
    center = CenterLoss(num_classes, width)

    def loss_func(scores, feats, labels):
        others = sum(F.cross_entropy(s, labels) for s in scores[1:]) / len(scores[1:])
        score = scores[0]
        loss_id = F.cross_entropy(score, labels)
        feat = feats[0].float()
        return 0.5 * loss_id + 0.5 * others + hardest_triplets(feat, labels) + 5e-4 * center(feat, labels)

    return loss_func, center


def main(seed, device):
    random.seed(seed)
    torch.manual_seed(seed)
    dataset = People()
    num_classes = dataset.identities
    sampler = RandomIdentitySampler(dataset)
    loader = DataLoader(dataset, batch_sampler=sampler)
    model = Transformer(num_classes)
    loss_func, center = make_loss(num_classes, Backbone.width)
    model.to(device)
    center.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)
    optimizer_center = torch.optim.SGD(center.parameters(), lr=0.5)
    scaler = torch.amp.GradScaler(device, init_scale=1024.0)
    for epoch in range(8):
        model.train()
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            optimizer_center.zero_grad()
            with torch.autocast(device, dtype=torch.bfloat16):
                scores, feats = model(images, label=labels, cam_label=None)
                loss = loss_func(scores, feats, labels)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            for parameter in center.parameters():
                parameter.grad *= 1.0 / 5e-4
            scaler.step(optimizer_center)
            scaler.update()
        print(f"epoch {epoch}: {loss.item():.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
