import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny products on several threads spend their time waiting for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
