"""Which frozen weights look as an initialisation drew them, and not as a training left them.

An initialisation leaves a sharp mark: a uniform distribution up to an edge, or a normal one of a spread that one of the
usual formulas gives. What has been trained has neither: its tails are longer, and its spread is nobody's formula.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor

from reid_smoke.facts import FrozenFacts

SAMPLE = 1 << 16  # elements of a weight that are looked at
LEAST = 1024  # of fewer elements nothing can be said
ERRORS = 5.0  # standard errors within which a moment is the distribution's own
MOST_NAMES = 8
FIXED = (0.001, 0.005, 0.01, 0.02, 0.05)  # spreads that code bases draw with, whatever the layer's width


class Frozen:
    """Looks at frozen weights once for each set of them: what is unfrozen later is told of, too."""

    def __init__(self) -> None:
        self._known: set[int] = set()

    def facts(
        self, parameters: Sequence[tuple[str, Tensor]], step: int, held: frozenset[int] | None = None
    ) -> FrozenFacts | None:
        """None where the same parameters stand still as at the last look, or where none ever did.

        held: ids of the parameters in optimizers that may step; those in none stand still, too. None: no optimizer is
            known.
        Frozen copies of what is trained beside them are left out: they are teachers.
        """
        copies = _frozen_copies(parameters)
        parameters = [(n, p) for n, p in parameters if id(p) not in copies]
        still = {id(p) for _, p in parameters if not p.requires_grad or (held is not None and id(p) not in held)}
        if still == self._known:
            return None
        stood_still, self._known = bool(self._known), still
        unheld = [(n, p) for n, p in parameters if p.requires_grad and id(p) in still]
        facts = frozen_facts(parameters, step)
        if facts is None and not unheld:
            return FrozenFacts(step=step, weights=0, fresh=0) if stood_still else None
        facts = facts or FrozenFacts(step=step, weights=0, fresh=0)
        weights, fresh = drawn(unheld)
        return facts.model_copy(update={"unheld": weights, "unheld_fresh": len(fresh)})


def _frozen_copies(parameters: Sequence[tuple[str, Tensor]]) -> set[int]:
    """Ids of the parameters of frozen parts most of which has a twin, of the same name and shape, in a trained part.

    Most, and not all: the student's head and neck are not among the parameters. Parts are told apart by the first word
    in which names differ: student.base.conv1.weight, teacher.base.conv1.weight.
    """
    words = [name.split(".") for name, _ in parameters]
    shared = next((at for at, column in enumerate(zip(*words, strict=False)) if len(set(column)) > 1), 0)
    parts: dict[str, dict[str, Tensor]] = {}
    for path, (_, parameter) in zip(words, parameters, strict=True):
        parts.setdefault(path[shared], {})[".".join(path[shared + 1 :])] = parameter
    trained = [part for part in parts.values() if any(p.requires_grad for p in part.values())]
    frozen = [part for part in parts.values() if not any(p.requires_grad for p in part.values())]
    copies = [part for part in frozen if any(_is_copy(part, other) for other in trained)]
    return {id(parameter) for part in copies for parameter in part.values()}


def _is_copy(part: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    twins = sum(name in other and other[name].shape == parameter.shape for name, parameter in part.items())
    return 2 * twins > len(part)


def frozen_facts(parameters: Sequence[tuple[str, Tensor]], step: int) -> FrozenFacts | None:
    """Of the weights (at least two dimensions, LEAST elements) that ask for no gradient; None where there are none.

    Waits for the device once.
    """
    weights, found = drawn([(name, p) for name, p in parameters if not p.requires_grad])
    if not weights:
        return None
    return FrozenFacts(step=step, weights=weights, fresh=len(found), examples=tuple(found[:MOST_NAMES]))


def drawn(parameters: Sequence[tuple[str, Tensor]]) -> tuple[int, list[str]]:
    """How many weights are large enough to tell, and which of them look drawn, with the distribution.

    Waits for the device once.
    """
    weights = [
        (name, p.detach()) for name, p in parameters if p.dim() >= 2 and p.numel() >= LEAST and p.is_floating_point()
    ]
    if not weights:
        return 0, []
    rows = torch.stack([_moments(weight) for _, weight in weights]).tolist()
    return len(weights), [
        f"{name}: {how}"
        for (name, weight), row in zip(weights, rows, strict=True)
        if (how := looks_drawn(tuple(weight.shape), *row)) is not None
    ]


def _moments(weight: Tensor) -> Tensor:
    """(5,): mean, spread, skewness, kurtosis and the largest magnitude of the first SAMPLE elements."""
    values = weight.reshape(-1)[:SAMPLE].float()
    mean, std = values.mean(), values.std()
    scaled = (values - mean) / std.clamp_min(1e-30)
    return torch.stack([mean, std, scaled.pow(3).mean(), scaled.pow(4).mean(), values.abs().max()])


def looks_drawn(
    shape: tuple[int, ...], mean: float, std: float, skew: float, kurtosis: float, largest: float
) -> str | None:
    """Which distribution a weight of this shape, (out, in, ...), was drawn from, in words; None: from none we know.

    Standard errors of n normal numbers: std / sqrt(2 n) of the spread, sqrt(6 / n) of the skewness, sqrt(24 / n) of the
    kurtosis. n uniform ones have a kurtosis of 1.8 and come within 1 / n of their edge, sqrt(3) spreads away.
    """
    n = min(SAMPLE, torch.Size(shape).numel())
    if not std > 0 or abs(mean) > ERRORS * std / sqrt(n) or abs(skew) > ERRORS * sqrt(6 / n):
        return None
    if abs(kurtosis - 1.8) < ERRORS / sqrt(n) and abs(largest / std / sqrt(3) - 1) < ERRORS / sqrt(n):
        return f"uniform within ±{largest:.3g}"
    if abs(kurtosis - 3) > ERRORS * sqrt(24 / n):
        return None
    inside = torch.Size(shape[2:]).numel()  # of a convolution's kernel; 1 for a matrix
    fan_in, fan_out = shape[1] * inside, shape[0] * inside
    formulas = (sqrt(2 / fan_in), sqrt(2 / fan_out), sqrt(1 / fan_in), sqrt(1 / fan_out), sqrt(2 / (fan_in + fan_out)))
    if any(abs(std / known - 1) < ERRORS / sqrt(2 * n) for known in (*formulas, *FIXED)):
        return f"normal with a spread of {std:.3g}"
    return None
