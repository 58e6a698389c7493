"""Captions as numbers: a vocabulary of the words that a data set's captions are written with; no torch.

Words, not the pieces of a pretrained tokenizer: the text tower starts from nothing, so that a vocabulary of other
people's texts would bring it nothing, and would have to be shipped. CUHK-PEDES's own baseline (Li et al., "Person
Search with Natural Language Description", CVPR 2017) does the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

PADDING, UNKNOWN = 0, 1
MOST_WORDS = 77  # of a caption, as CLIP and IRRA cut theirs
LEAST_COUNT = 2  # a word that stands once in all captions is unknown, so that training meets unknown words, too
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")  # people type either apostrophe


def words_of(caption: str) -> list[str]:
    """`A T-shirt, red.` -> `["a", "t-shirt", "red"]`."""
    return _WORD.findall(caption.lower())


class Vocabulary:
    """Numbers of words, from 2 on in alphabetical order: the same captions give the same numbers in any order."""

    def __init__(self, captions: Iterable[str]) -> None:
        counts: Counter[str] = Counter()
        for caption in captions:
            counts.update(words_of(caption))
        self.words = tuple(sorted(word for word, count in counts.items() if count >= LEAST_COUNT))
        self._number = {word: number for number, word in enumerate(self.words, start=UNKNOWN + 1)}

    def __len__(self) -> int:
        """How many numbers there are, with PADDING and UNKNOWN."""
        return len(self.words) + 2

    def encode(self, caption: str) -> list[int]:
        """The numbers of its first `MOST_WORDS` words; one UNKNOWN where it holds no word at all."""
        return [self._number.get(word, UNKNOWN) for word in words_of(caption)[:MOST_WORDS]] or [UNKNOWN]


def padded(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """As many numbers in each row as in the longest, with PADDING behind."""
    longest = max(map(len, rows), default=0)
    return [[*row, *[PADDING] * (longest - len(row))] for row in rows]
