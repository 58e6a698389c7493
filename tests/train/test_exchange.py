"""Which gradients travel together, and what is made of them over gloo; what is made on two GPUs is in test_ranks.py."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchvision.models import resnet50

from reid_smoke.train.exchange import BEFORE_IT, LAST, OTHERS, buckets_of
from tests.warm import Warm


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


def test_it_averages_as_distributed_data_parallel_does_which_goes_on_afterwards(warm: Warm, tmp_path: Path) -> None:
    launcher = ["torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29631", "--no-python"]
    process = warm.start(*launcher, *warm.launched(), "tests.train.averaging", cwd=tmp_path)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    for rank in range(2):
        found = json.loads((tmp_path / f"found-{rank}.json").read_text())
        assert found["exchanged"] < 1e-6
        assert found["ddp again"] < 1e-6
        assert found["alone"] > 1e-3  # the ranks' batches differ
        assert found["error"] == "2 parameters took no part in backward, and the ranks wait for their gradients"
