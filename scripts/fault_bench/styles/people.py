"""Small people, and a small backbone: what the three scripts beside this file train on."""

import random

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset, Sampler


class People(Dataset):
    """Patches of clothing in an identity's colours, lit and shifted a little in each image."""

    def __init__(self, identities=48, images=8):
        self.identities = identities
        draw = torch.Generator().manual_seed(1)
        colours = torch.rand(identities, 3, 4, 2, generator=draw)
        self.images, self.labels = [], []
        for label in range(identities):
            for _ in range(images):
                light = 0.7 + 0.3 * torch.rand(3, 1, 1, generator=draw)
                noise = 0.08 * torch.randn(3, 32, 16, generator=draw)
                image = F.interpolate(colours[label][None], size=(32, 16), mode="bilinear")[0] * light + noise
                image = image.roll(int(torch.randint(-2, 3, (1,), generator=draw)), 1)
                self.images.append((255 * image.clamp(0, 1)).byte())
                self.labels.append(label)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        label = self.labels[index]
        image = self.images[index]
        image = image.float() / 255
        image = (image - 0.45) / 0.225
        if random.random() < 0.5:
            image = image.flip(2)
        return image, label


class RandomIdentitySampler(Sampler):
    """P identities with K images each."""

    def __init__(self, dataset, people=8, instances=2):
        self.dataset, self.people, self.instances = dataset, people, instances
        self.of = {}
        for index, label in enumerate(dataset.labels):
            self.of.setdefault(label, []).append(index)
        self.length = len(dataset) // (people * instances)

    def __len__(self):
        return self.length

    def __iter__(self):
        for _ in range(self.length):
            chosen = random.sample(sorted(self.of), min(self.people, len(self.of)))
            yield [index for label in chosen for index in random.sample(self.of[label], self.instances)]


class Backbone(nn.Module):
    width = 128

    def __init__(self):
        super().__init__()
        layers, before = [], 3
        for wide in (32, 64, self.width):
            layers += [nn.Conv2d(before, wide, 3, 2, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
            before = wide
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x).mean((2, 3))


def hardest_triplets(feat, labels, margin=0.3):
    distance = (feat[:, None] - feat[None]).pow(2).sum(2).clamp(min=1e-12).sqrt()
    same = labels[:, None] == labels[None]
    return F.relu((distance * same).amax(1) - (distance + 1e9 * same).amin(1) + margin).mean()
