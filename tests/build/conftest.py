import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """On a busy machine threads wait for each other: these tests then take four times as long with two of them."""
    torch.set_num_threads(1)
