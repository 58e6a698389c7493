from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from reid_smoke.build.data.words import MOST_WORDS, PADDING, UNKNOWN, Vocabulary, padded, words_of


def test_words() -> None:
    assert words_of("A T-shirt, RED; she's 20 – and_so on.") == [
        "a",
        "t-shirt",
        "red",
        "she's",
        "20",
        "and",
        "so",
        "on",
    ]


def test_numbers() -> None:
    vocabulary = Vocabulary(["a red coat", "A coat; red!", "a hat"])
    assert vocabulary.words == ("a", "coat", "red")
    assert len(vocabulary) == 5
    assert vocabulary.encode("A red hat.") == [2, 4, UNKNOWN]
    assert vocabulary.encode("...") == [UNKNOWN]
    assert padded([[2, 4], [3]]) == [[2, 4], [3, PADDING]]


@given(st.lists(st.text(max_size=40), max_size=8), st.text())
def test_any_text_has_numbers_within_range(captions: list[str], text: str) -> None:
    vocabulary = Vocabulary(captions)
    for caption in (*captions, text, "word " * 100):
        numbers = vocabulary.encode(caption)
        assert 1 <= len(numbers) <= MOST_WORDS
        assert all(UNKNOWN <= number < len(vocabulary) for number in numbers)
    mixed = list(captions)
    random.Random(0).shuffle(mixed)
    assert Vocabulary(mixed).words == vocabulary.words
