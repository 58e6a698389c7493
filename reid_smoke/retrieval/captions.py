"""Images sought by what is said of them: every caption of the gallery's images, among those images.

By the protocol of CUHK-PEDES (Li et al., "Person Search with Natural Language Description", CVPR 2017): any image of
the caption's identity is right, and none is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from reid_smoke.build.data.training_set import Sample
from reid_smoke.build.data.words import Vocabulary, padded
from reid_smoke.retrieval.ranking import Ranked, chance, rank, similarity

BATCH = 256  # captions


@dataclass(frozen=True, eq=False)
class Captions:
    """What is said of the gallery's images, as numbers."""

    tokens: Tensor  # (T, L) int64
    match: NDArray[np.bool_]  # (T, G), the image shows the caption's identity

    @classmethod
    def of(cls, said: Sequence[Sample], gallery: Sequence[Sample], vocabulary: Vocabulary) -> Captions | None:
        """said: samples with captions; those of the gallery's images are taken. None where there are none."""
        shown = {sample.image for sample in gallery}
        taken = [sample for sample in said if sample.caption is not None and sample.image in shown]
        if not taken:
            return None
        pids = np.array([str(sample.pid) for sample in taken]), np.array([str(sample.pid) for sample in gallery])
        rows = padded([vocabulary.encode(str(sample.caption)) for sample in taken])
        return cls(torch.tensor(rows), pids[0][:, None] == pids[1][None, :])

    def features(self, model: nn.Module, device: torch.device) -> Tensor:
        """(T, D) of unit length, on the CPU; `model.caption_features` makes them of tokens (B, L)."""
        make = model.caption_features
        assert callable(make)
        parts = [make(part.to(device)).float() for part in self.tokens.split(BATCH)]
        return F.normalize(torch.cat(parts), dim=1).cpu()

    def rank(self, said: Tensor, gallery: Tensor) -> Ranked:
        """Of features (T, D) and (G, D) of unit length."""
        return rank(similarity(said.numpy(), gallery.numpy()), self.match, np.zeros_like(self.match))

    def chance(self) -> Ranked:
        return chance(self.match, np.zeros_like(self.match))
