"""Batches and epochs, as the loaders' iterators hand them out: which one feeds the training, and how long it waits."""

from __future__ import annotations

import threading
import time
from weakref import WeakSet

from reid_smoke.facts import LoaderFacts
from reid_smoke.ledger import Ledger
from reid_smoke.probes.promises import promised_by
from reid_smoke.probes.under_way import Loader, batch_size_of, images_of_dataset, parts_of_dataset, sampler_of

MOST_ITERATORS = 32  # a loop that makes an iterator per batch must not fill the memory
MOST_DRY = 3  # epochs without a batch that are told of
IN_VAIN = 3  # times that an iterator is asked which is at its end: a prefetcher asks once more, or twice
ALL_TOLD, EVERY = 100, 100  # epochs that are all told of; thousands that all went as promised need no line each


class Loading:
    """Told of each batch and each exhausted iterator; a loader is the training's once its batch went through the loss.

    `epoch`: of the training, 0 before the first step. `current`: what gave the last batch. `data_s`: seconds that were
    spent waiting for it. `arrived`: when it came, by time.perf_counter().
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._iterators: dict[int, Loader] = {}
        self._training_sampler = 0
        self._dry = 0  # epochs that gave no batch
        self._in_vain: dict[int, int] = {}  # times that one at its end was asked, since the last batch
        self._ended: WeakSet[object] = WeakSet()  # iterators that are at their end: a prefetcher may ask them again
        self.current = Loader()
        self.epoch = 0
        self.data_s = 0.0
        self.arrived = time.perf_counter()

    def fetched(self, iterator: object, seconds: float) -> None:
        loader = self._iterators.get(id(iterator))
        if loader is None:
            loader = Loader(key=id(iterator), promised=promised_by(iterator), sampler=sampler_of(iterator))
            if not self.epoch:
                loader.images, loader.parts = images_of_dataset(iterator), parts_of_dataset(iterator)
            loader.batch_size = batch_size_of(iterator)
            self._iterators[id(iterator)] = loader
            if len(self._iterators) > MOST_ITERATORS:
                self._iterators.pop(next(iter(self._iterators)))
        loader.given += 1
        self._in_vain.clear()
        self.current, self.data_s, self.arrived = loader, seconds, time.perf_counter()

    def exhausted(self, iterator: object) -> bool:
        """Whether an epoch of the training ended of which a fact tells."""
        loader = self._iterators.pop(id(iterator), None)
        asked_before = loader is None and iterator in self._ended
        if asked_before and not self._is_asked_on_and_on(iterator):
            return False
        self._ended.add(iterator)
        if loader is None and self._training_sampler == (sampler_of(iterator) or None) and self._dry < MOST_DRY:
            self._dry += 1
            loader = Loader(epoch=self.epoch + 1, fed=1)  # the training's own loader, and it gave nothing
        if loader is None or not loader.fed or not _tells_something(loader):
            return False
        self._ledger.add(
            LoaderFacts(epoch=loader.epoch, batches_promised=loader.promised, batches_given=loader.given, finished=True)
        )
        return True

    def _is_asked_on_and_on(self, iterator: object) -> bool:
        """Epoch after epoch goes to one that was made before them all. A thread that reads ahead may ask idly."""
        if threading.current_thread() is not threading.main_thread():
            return False
        times = self._in_vain[id(iterator)] = self._in_vain.get(id(iterator), 0) + 1
        return times >= IN_VAIN

    @property
    def is_at_first(self) -> bool:
        """What is about to go through the loss is an epoch's first batch."""
        return self.current.key != 0 and (self.current.given <= 1 or not self.current.fed)

    def feeds_a_step(self) -> None:
        """A batch of the current loader went through the loss: with its first one an epoch begins."""
        loader = self.current
        loader.fed += 1
        if not loader.key or loader.fed > 1:
            return
        self._training_sampler = loader.sampler
        self.epoch += 1
        loader.epoch = self.epoch
        if self.epoch == 1:
            self._ledger.add(
                LoaderFacts(
                    epoch=1,
                    batches_promised=loader.promised,
                    batches_given=loader.given,
                    finished=False,
                    images=loader.images,
                    parts=loader.parts,
                )
            )


def _tells_something(loader: Loader) -> bool:
    return loader.epoch <= ALL_TOLD or loader.epoch % EVERY == 0 or loader.given != loader.promised
