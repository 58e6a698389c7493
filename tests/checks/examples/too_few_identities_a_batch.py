import torch
from torch.utils.data import DataLoader

from tests.checks.tiny import Crops, TinyTraining


class PAndKSwapped(TinyTraining):
    """2 people with 8 images each, instead of 8 with 2."""

    people = 2

    def make_loader(self) -> DataLoader:
        generator = torch.Generator().manual_seed(0)
        rows = []
        for _ in range(100):
            chosen = torch.randperm(self.identities, generator=generator)[: self.people].tolist()
            rows.append([8 * p + k for p in chosen for k in range(16 // self.people)])
        return DataLoader(Crops(self.identities), batch_sampler=rows)


class EightPeople(PAndKSwapped):
    people = 8


SICK = [PAndKSwapped]
HEALTHY = [EightPeople]
