"""When to judge a training that goes on: often while it is young, always when the window closes; no torch."""

from __future__ import annotations


class Pace:
    """Every step of the first ten, every tenth up to the fiftieth, then each time a fifth more steps were seen, and at
    the window's end; every fiftieth and ever more seldom after it.

    A judgement looks at all steps seen so far, and each takes some milliseconds of the training's own thread.

    window_end: a step; whoever judges sets it anew where the rule has moved the window.
    """

    def __init__(self, window_end: int) -> None:
        self.window_end = window_end
        self._next = 0

    def is_due(self, step: int) -> bool:
        """Whether to judge at this step. Steps may be left out, but never go back."""
        if step < self._next:
            return False
        if step < 10:
            self._next = step + 1
        elif step < self.window_end:
            self._next = min(step + max(10 - step % 10, step // 5), self.window_end)
        else:
            self._next = step + max(50 - step % 50, step // 20 if step > 1000 else 0)
        return True
