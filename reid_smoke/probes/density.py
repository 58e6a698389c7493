"""Which steps are measured, and at which of these the graph is walked.

On a GPU a step of somebody's own loop waits for Python, and to measure one is to lengthen it by some 3 %. What makes a
training a No-Go is there in each of its steps: so after the first ones a few in a row are measured, and a few are not,
but for each epoch's first.

Long after the window a verdict needs no more steps: from `dense_until` on every 11th is measured and written, ten times
later every 53rd, and from there on ever fewer, as many each time that the training has become twice as long. So what is
kept of it stays small, however long it is; those in between cost next to nothing. Primes, so that no accumulation cycle
hides between them.
"""

from __future__ import annotations

import math

DENSE_UNTIL = 2000  # steps, each of which is measured, or on a GPU so many:
ALL_UNTIL, IN_A_ROW, OF = 100, 4, 11  # all of the first, and then 4 in a row of each 11
EARLY_STRIDE, SPARSE_FROM = 11, 10  # from there on, up to so many times there
STRIDES = (53, 101, 211, 401, 809, 1601, 3203, 6421, 12809, 25601)  # from there on, each for a doubling; the last stays
WALK_AT = (1, 2, 5, 20, 50, 100, 200, 300)  # or at the first one after it that is measured
WALK_EACH, GLANCE_EACH = 300, 100  # steps from there on; a walk of a ResNet-50's graph takes as long as half a step


def is_measured(step: int, dense_until: int, *, all_of_them: bool) -> bool:
    """all_of_them: whether each step up to `dense_until` is."""
    if step <= dense_until:
        return all_of_them or step <= ALL_UNTIL or step % OF < IN_A_ROW
    times = step / (SPARSE_FROM * dense_until)
    doublings = int(math.log2(times)) if times > 1 else -1
    stride = STRIDES[min(doublings, len(STRIDES) - 1)] if doublings >= 0 else EARLY_STRIDE
    return step % stride == 0


def next_walk(last: int) -> int:
    """The first step at which the graph is walked again; last: the step of the last walk."""
    return next((step for step in WALK_AT if step > last), last + max(WALK_EACH, last // 10))
