"""Batches and losses are dicts, the head is a bare weight of `heads`, two batches an update, a cosine per step."""

import math
import random
import sys

import torch
from people import Backbone, People, RandomIdentitySampler, hardest_triplets
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, default_collate

ACCUMULATE = 2


class Heads(nn.Module):
    def __init__(self, width, num_classes):
        super().__init__()
        self.bottleneck = nn.BatchNorm1d(width)
        self.bottleneck.bias.requires_grad_(False)
        self.weight = nn.Parameter(0.001 * torch.randn(num_classes, width))

    def forward(self, global_feat):
        feat = self.bottleneck(global_feat)
        return F.linear(feat, self.weight)


class Model(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.backbone = Backbone()
        self.heads = Heads(self.backbone.width, num_classes)

    def forward(self, batch):
        labels = batch["pids"]
        global_feat = self.backbone(batch["images"])
        score = self.heads(global_feat)
        loss_id = F.cross_entropy(score, labels, label_smoothing=0.1)
        return {"id_loss": loss_id, "triplet_loss": 0.2 * hardest_triplets(global_feat, labels)}


def collate(samples):
    images, labels = default_collate(samples)
    return {"images": images, "pids": labels}


def main(seed, device):
    random.seed(seed)
    torch.manual_seed(seed)
    dataset = People()
    num_classes = dataset.identities
    sampler = RandomIdentitySampler(dataset)
    loader = DataLoader(dataset, batch_sampler=sampler, collate_fn=collate)
    model = Model(num_classes)
    model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-3)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 + 0.5 * math.cos(math.pi * step / 200))
    iteration = 0
    for epoch in range(8):
        model.train()
        for batch in loader:
            iteration += 1
            batch = {name: part.to(device) for name, part in batch.items()}
            losses = model(batch)
            loss = sum(losses.values()) / ACCUMULATE
            loss.backward()
            if iteration % ACCUMULATE == 0:
                optimizer.step()
                optimizer.zero_grad()
                scheduler.step()
        print(f"epoch {epoch}: {loss.item():.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
