"""What is measured while a backward runs on a GPU.

There the engine's own threads launch what backward needs, and Python waits with its lock free: ten milliseconds of a
ResNet-50's step, in which a thread of ours costs the training little. It is alive in there only: whoever else is told
of something waits for it first, so that no two ever look at the same figures.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from queue import SimpleQueue

import torch

Task = Callable[[], None]
Stream = tuple[int, int, int]  # of a GPU, as torch names it: id, device and kind


class Meanwhile:
    """Tasks are put off until backward runs, or done at once where that is no help.

    Between two steps of theirs nothing of ours is in the processor's caches, and the GPU waits for what Python does
    there: a queue and a lock of C's take less of it than an executor and its futures.
    """

    def __init__(self) -> None:
        self._put_off: list[Task] | None = None  # None: they are done at once
        self._device: torch.device | None = None
        self._thread: threading.Thread | None = None
        self._queue = SimpleQueue["Handed | None"]()
        self.running: Handed | None = None
        weakref.finalize(self, self._queue.put, None)  # who never closes this leaves no thread behind either

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
        stream = torch._C._cuda_getCurrentStream(device.index) if device is not None and device.type == "cuda" else None
        if self._thread is None:
            thread = threading.Thread(target=_do_whatever_comes, args=(self._queue,), name="reid-smoke", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # none can be started, or the interpreter is about to end
                _do_all(tasks, stream)
                return
            self._thread = thread
        handed = Handed(tasks, stream)
        self._queue.put(handed)
        self.running = handed

    def wait(self) -> None:
        """Until all is done; raises what a task raised. Tasks themselves never wait for each other."""
        running = self.running  # a loader's thread may wait at the same time
        if running is None:
            return
        with running.undone:  # Ctrl-C may end this waiting, and then somebody waits once more
            self.running = None
            raised, running.raised = running.raised, None
        if raised is not None:
            raise raised

    def close(self) -> None:
        """No thread is left behind."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None


class Handed:
    """What the thread is given. undone: held until it is done; raised: what it came to."""

    def __init__(self, tasks: list[Task], stream: Stream | None) -> None:
        self._tasks, self._stream = tasks, stream
        self.raised: BaseException | None = None
        self.undone = threading.Lock()
        self.undone.acquire()

    def do(self) -> None:
        try:
            _do_all(self._tasks, self._stream)
        except BaseException as wanted:
            self.raised = wanted
        self._tasks.clear()  # nothing of a step is kept until the next one
        self.undone.release()


def _do_whatever_comes(queue: SimpleQueue[Handed | None]) -> None:
    while (handed := queue.get()) is not None:
        handed.do()


def _do_all(tasks: Sequence[Task], stream: Stream | None) -> None:
    """In the order in which they came, and on the GPU behind what was launched before them."""
    # Which stream, and whether gradients are wanted, each thread knows for itself.
    with _within(stream), torch.no_grad():
        stop: BaseException | None = None
        for task in tasks:
            try:
                task()
            except BaseException as wanted:  # the end of their training; what was put off is measured first
                stop = stop or wanted
        if stop is not None:
            raise stop


def _within(stream: Stream | None) -> AbstractContextManager[object]:
    if stream is None:
        return nullcontext()
    which, device, kind = stream
    given = torch.cuda.Stream(stream_id=which, device_index=device, device_type=kind)  # type: ignore[no-untyped-call]
    return torch.cuda.stream(given)
