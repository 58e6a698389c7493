import gc

import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def short_searches():
    """Each training is searched for in all that the garbage collector knows; what pytest and torch hold is known."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny products on several threads spend their time waiting for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
