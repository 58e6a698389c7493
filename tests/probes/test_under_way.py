"""The parts that a data set is put together from, through whatever holds it."""

from types import SimpleNamespace

from torch.utils.data import ConcatDataset, Subset

from reid_smoke.probes.under_way import parts_of_dataset


def iterator_over(dataset: object) -> object:
    return SimpleNamespace(_dataset=dataset)


def test_within_a_subset() -> None:
    both = ConcatDataset([[1, 2], [3]])
    assert parts_of_dataset(iterator_over(Subset(both, range(3)))) == (2, 1)


def test_one_that_names_itself_as_what_it_holds_does_not_stop_the_training() -> None:
    """As fastai's loader has it, which shows itself to torch's iterators in the place of its data set."""
    itself = SimpleNamespace()
    itself.dataset = itself
    assert parts_of_dataset(iterator_over(itself)) == ()
