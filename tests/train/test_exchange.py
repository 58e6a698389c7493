"""Which gradients travel together. What is made of them on two GPUs is in test_ranks.py."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchvision.models import resnet50

from reid_smoke.train.exchange import BEFORE_IT, LAST, OTHERS, buckets_of


def bytes_of(bucket: list[nn.Parameter]) -> int:
    return sum(p.numel() * p.element_size() for p in bucket)


def test_a_resnets_last_buckets_are_small() -> None:
    sizes = [bytes_of(bucket) for bucket in buckets_of(list(resnet50(num_classes=400).parameters()))]
    assert len(sizes) == 3
    assert sizes[2] <= LAST
    assert sizes[1] <= BEFORE_IT
    assert sum(sizes[:2]) > 0.95 * sum(sizes)


SIZES = st.lists(st.tuples(st.integers(1, 40 << 20), st.booleans(), st.sampled_from([torch.float32, torch.bfloat16])))


@given(SIZES)
def test_each_gradient_travels_once_in_backwards_order(sizes: list[tuple[int, bool, torch.dtype]]) -> None:
    parameters = [
        nn.Parameter(torch.empty(size, dtype=dtype, device="meta"), requires_grad=wanted)
        for size, wanted, dtype in sizes
    ]
    buckets = buckets_of(parameters)
    sent = [id(p) for bucket in buckets for p in bucket]
    assert sent == [id(p) for p in reversed(parameters) if p.requires_grad]
    for bucket, most in zip(reversed(buckets), [LAST, BEFORE_IT] + [OTHERS] * len(buckets), strict=False):
        assert len({p.dtype for p in bucket}) == 1
        assert len(bucket) == 1 or bytes_of(bucket) <= most
