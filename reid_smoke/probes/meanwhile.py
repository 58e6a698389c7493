"""What is measured while a backward runs on a GPU.

There the engine's own threads launch what backward needs, and Python waits with its lock free: ten milliseconds of a
ResNet-50's step, in which a thread of ours costs the training little. It is alive in there only: whoever else is told
of something waits for it first, so that no two ever look at the same figures.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext

import torch

Task = Callable[[], None]


class Meanwhile:
    """Tasks are put off until backward runs, or done at once where that is no help."""

    def __init__(self) -> None:
        self._put_off: list[Task] | None = None  # None: they are done at once
        self._device: torch.device | None = None
        self._thread: ThreadPoolExecutor | None = None
        self.running: Future[None] | None = None

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
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "reid-smoke")
        device = self._device
        stream = torch.cuda.current_stream(device) if device is not None and device.type == "cuda" else None
        try:
            self.running = self._thread.submit(_do_all, tasks, stream)
        except RuntimeError:  # no thread can be started, or the interpreter is about to end
            _do_all(tasks, stream)

    def wait(self) -> None:
        """Until all is done; raises what a task raised. Tasks themselves never wait for each other."""
        running = self.running  # a loader's thread may wait at the same time
        if running is None:
            return
        raised = running.exception()  # Ctrl-C may end this waiting, and then somebody waits once more
        self.running = None
        if raised is not None:
            raise raised

    def close(self) -> None:
        """No thread is left behind."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None


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
