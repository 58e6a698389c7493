"""A small text tower: captions as numbers of words -> one feature a caption. It starts from nothing, as no download is
wanted; a pretrained one comes by `model.target`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reid_smoke.build.data.words import MOST_WORDS, PADDING

LAYERS, HEADS = 2, 4


class TextTower(nn.Module):
    """Embedded words and their places -> a transformer -> the mean over the words -> (B, features).

    A transformer and not a GRU: with a mask a caption's feature does not depend on how long its neighbours in the batch
    are, and no length has to be fetched from the device. No dropout: 300 steps do not overfit.

    vocabulary: how many numbers there are, PADDING among them. width: of the embedding, a multiple of HEADS.
    """

    def __init__(self, vocabulary: int, width: int, features: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=PADDING)
        self.places = nn.Parameter(torch.empty(MOST_WORDS, width))
        nn.init.normal_(self.places, std=0.02)  # small beside the words, whose std is 1
        layer = nn.TransformerEncoderLayer(
            width, HEADS, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.project = nn.Linear(width, features, bias=False)  # a batch norm follows, which takes any bias off

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, L) int64, PADDING behind each caption, L at most MOST_WORDS -> features (B, features)."""
        padding = tokens == PADDING  # (B, L)
        embedded = self.words(tokens) + self.places[: tokens.shape[1]]  # (B, L, width)
        read = self.layers(embedded, src_key_padding_mask=padding)  # (B, L, width)
        is_word = (~padding).unsqueeze(2).to(read.dtype)  # (B, L, 1)
        mean = (read * is_word).sum(dim=1) / is_word.sum(dim=1)  # (B, width); every caption has a word
        feature: Tensor = self.project(mean)
        return feature
