"""Does a noisy curve fall? Tests that a few wild batches do not fool; no torch.

Single batches say little: their CE differs by whole nats while the model stands still. So curves are cut into blocks
of equal length and their means compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from math import isfinite, sqrt
from statistics import NormalDist, fmean, median


def block_means(values: Sequence[float], blocks: int = 10) -> list[float]:
    """Means of `blocks` consecutive stretches of nearly equal length; fewer where there are fewer values."""
    count = min(blocks, len(values))
    edges = [round(i * len(values) / count) for i in range(count + 1)] if count else []
    return [fmean(values[a:b]) for a, b in pairwise(edges)]


def falling_p(values: Sequence[float], blocks: int = 10) -> float:
    """p-value of "this curve does not fall", one-sided, by the Mann-Kendall test on block means.

    S = sum over i<j of sign(x_j - x_i), Var S = n(n-1)(2n+5)/18, with the continuity correction (Kendall 1975, Rank
    Correlation Methods). Small means falling, near 1 rising. 1.0 for fewer than 4 values, or where a value is not
    finite: nothing can be said then. With ten blocks the least p is 4e-5, with four 0.045.
    """
    means = block_means(values, blocks)
    n = len(means)
    if n < 4 or not all(map(isfinite, means)):
        return 1.0
    s = sum((b > a) - (b < a) for a, b in combinations(means, 2))
    deviation = sqrt(n * (n - 1) * (2 * n + 5) / 18)
    towards_zero = s + 1 if s < 0 else s - 1 if s > 0 else 0
    return NormalDist().cdf(towards_zero / deviation)


def slope(values: Sequence[float], blocks: int = 10) -> float | None:
    """Change per step, by the Theil-Sen estimator on block means: the median over all pairs of blocks.

    None for fewer than two blocks or values that are not finite (Sen 1968, JASA 63:1379).
    """
    means = block_means(values, blocks)
    if len(means) < 2 or not all(map(isfinite, means)):
        return None
    per_block = len(values) / len(means)
    slopes = [(b - a) / ((j - i) * per_block) for (i, a), (j, b) in combinations(enumerate(means), 2)]
    return median(slopes)


def standard_error(values: Sequence[float]) -> float:
    """Standard error of the mean of `values`, from the spread of block means, so that slow wander is counted in."""
    means = block_means(values)
    if len(means) < 2:
        return float("inf")
    centre = fmean(means)
    return sqrt(sum((m - centre) ** 2 for m in means) / (len(means) - 1) / len(means))


def noise(values: Sequence[float]) -> float:
    """Standard deviation of single values about a curve that moves slowly, from the steps between neighbours: a trend
    hardly counts in it (von Neumann et al. 1941, Ann. Math. Stat. 12:153)."""
    if len(values) < 2:
        return float("inf")
    return sqrt(fmean((b - a) ** 2 for a, b in pairwise(values)) / 2)
