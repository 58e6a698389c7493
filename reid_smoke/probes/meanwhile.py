"""What is measured while a backward runs on a GPU.

There the engine's own threads launch what backward needs, and Python waits with its lock free: ten milliseconds of a
ResNet-50's step, in which a thread of ours costs the training little. It is alive in there only: whoever else is told
of something waits for it first, so that no two ever look at the same figures.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from queue import SimpleQueue

import torch

Task = Callable[[], None]


class Meanwhile:
    """Tasks are put off until backward runs, or done at once where that is no help."""

    def __init__(self) -> None:
        self._put_off: list[Task] | None = None  # None: they are done at once
        self._device: torch.device | None = None
        self._worker: _Worker | None = None

    @staticmethod
    def helps(device: torch.device) -> bool:
        """On the CPU backward needs every core, and the thread that waits for it."""
        return device.type == "cuda"

    def put_off(self, device: torch.device) -> None:
        """From now on, until backward runs on this device, where that helps."""
        self._put_off, self._device = ([] if self.helps(device) else None), device

    def do(self, task: Task) -> None:
        """Now, or when backward runs. It must not read what backward gives back: saved tensors, or gradients."""
        if self._put_off is None:
            task()
        else:
            self._put_off.append(task)

    def begin(self) -> None:
        """Backward is about to run."""
        tasks, self._put_off = self._put_off, None
        if not tasks:
            return
        device = self._device
        stream = torch.cuda.current_stream(device) if device is not None and device.type == "cuda" else None
        try:
            if self._worker is None:
                self._worker = _Worker()
        except RuntimeError:  # no thread can be started
            _do_all(tasks, stream)
        else:
            self._worker.begin(tasks, stream)

    def wait(self) -> None:
        """Until all is done; raises what a task raised. Tasks themselves never wait for each other."""
        if self._worker is not None and self._worker.is_busy:
            self._worker.wait()

    def close(self) -> None:
        """No thread is left behind."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None


class _Worker:
    """A thread that does one list of tasks after the other. Python's own pools do that, too; what they do besides is a
    twentieth of a millisecond between two steps of a training."""

    def __init__(self) -> None:
        self.is_busy = False  # tasks were given, and nobody has waited for their end yet
        self._at_work = threading.Lock()  # held while they are done; any thread may wait for it
        self._raised: BaseException | None = None
        self._given: SimpleQueue[tuple[list[Task], torch.cuda.Stream | None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="reid-smoke", daemon=True)
        self._thread.start()

    def begin(self, tasks: list[Task], stream: torch.cuda.Stream | None) -> None:
        self.is_busy = True
        self._at_work.acquire()
        self._given.put((tasks, stream))

    def wait(self) -> None:
        with self._at_work:  # Ctrl-C may end this waiting, and then somebody waits once more
            raised, self._raised, self.is_busy = self._raised, None, False
        if raised is not None:
            raise raised

    def end(self) -> None:
        self._given.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (given := self._given.get()) is not None:
            try:
                _do_all(*given)
            except BaseException as raised:
                self._raised = raised
            finally:
                del given  # their tensors are nobody's any more
                self._at_work.release()


def _do_all(tasks: list[Task], stream: torch.cuda.Stream | None) -> None:
    """In the order in which they came, and on the GPU behind what was launched before them."""
    # Which stream, and whether gradients are wanted, each thread knows for itself.
    with torch.cuda.stream(stream) if stream is not None else nullcontext(), torch.no_grad():
        stop: BaseException | None = None
        for task in tasks:
            try:
                task()
            except BaseException as wanted:  # the end of their training; what was put off is measured first
                stop = stop or wanted
        if stop is not None:
            raise stop
