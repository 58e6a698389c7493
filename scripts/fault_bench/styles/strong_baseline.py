"""One module that returns (score, feat), smoothing by hand, a group per parameter, a warm-up per epoch."""

import random
import sys

import torch
from people import Backbone, People, RandomIdentitySampler, hardest_triplets
from torch import nn
from torch.utils.data import DataLoader


class Baseline(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.base = Backbone()
        self.bottleneck = nn.BatchNorm1d(self.base.width)
        self.bottleneck.bias.requires_grad_(False)
        self.classifier = nn.Linear(self.base.width, num_classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, x):
        global_feat = self.base(x)
        feat = self.bottleneck(global_feat)
        score = self.classifier(feat)
        return score, global_feat


class CrossEntropyLabelSmooth(nn.Module):
    def __init__(self, num_classes, epsilon=0.1):
        super().__init__()
        self.num_classes, self.epsilon = num_classes, epsilon

    def forward(self, inputs, targets):
        log_probs = inputs.log_softmax(1)
        targets = torch.zeros_like(log_probs).scatter_(1, targets.unsqueeze(1), 1)
        targets = (1 - self.epsilon) * targets + self.epsilon / self.num_classes
        return (-targets * log_probs).mean(0).sum()


def make_optimizer(model, lr=2e-3, weight_decay=5e-4):
    groups = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = 2 * lr if "bias" in name else lr
        groups.append({"params": [parameter], "lr": rate, "weight_decay": weight_decay})
    return torch.optim.Adam(groups)


def main(seed, device):
    random.seed(seed)
    torch.manual_seed(seed)
    dataset = People()
    num_classes = dataset.identities
    sampler = RandomIdentitySampler(dataset)
    loader = DataLoader(dataset, batch_sampler=sampler)
    model = Baseline(num_classes)
    xent = CrossEntropyLabelSmooth(num_classes)
    model.to(device)
    optimizer = make_optimizer(model)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: min(1.0, 0.25 * (epoch + 1)))
    for epoch in range(8):
        model.train()
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            score, feat = model(images)
            loss_id = xent(score, labels)
            loss = loss_id + hardest_triplets(feat, labels)
            loss.backward()
            optimizer.step()
        scheduler.step()
        print(f"epoch {epoch}: {loss.item():.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
