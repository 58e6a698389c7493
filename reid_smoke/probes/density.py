"""Which steps are measured, and at which of these the graph is walked.

Long after the window a verdict needs no more steps: from `dense_until` on every 11th is measured and written, ten times
later every 53rd, and from there on ever fewer, as many each time that the training has become twice as long. So what is
kept of it stays small, however long it is; those in between cost next to nothing. Primes, so that no accumulation cycle
hides between them.
"""

from __future__ import annotations

import math

DENSE_UNTIL = 2000  # steps, each of which is measured
EARLY_STRIDE, SPARSE_FROM = 11, 10  # from there on, up to so many times there
STRIDES = (53, 101, 211, 401, 809, 1601, 3203, 6421, 12809, 25601)  # from there on, each for a doubling; the last stays
WALK_AT = (1, 2, 5, 20, 50)  # and at every hundredth step


def is_measured(step: int, dense_until: int) -> bool:
    if step <= dense_until:
        return True
    times = step / (SPARSE_FROM * dense_until)
    doublings = int(math.log2(times)) if times > 1 else -1
    stride = STRIDES[min(doublings, len(STRIDES) - 1)] if doublings >= 0 else EARLY_STRIDE
    return step % stride == 0


def is_walked(step: int, last: int) -> bool:
    """last: the step of the last walk."""
    return step in WALK_AT or step % 100 == 0 or step - last > 100
