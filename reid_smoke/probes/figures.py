"""From what was measured of a step to its figures: the arithmetic that needs no device.

Done here, it costs the training nothing: a mean, a count or a ratio is a few launches each on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

TURNED = -0.99  # cosine
ROUNDING = 1e-3  # of a length, in half precision
Numbers = Mapping[str, Sequence[float]]

AS_MEASURED = (
    "loss", "channels_alive", "grad_norm_total", "amp_scale", "ce_weight", "ce_share", "lr_head",
    "lr_backbone", "skips", "let_through", "head_grad_cosine", "head_update_cosine", "head_grad_of_ce",
)  # fmt: skip
OVER_ALL = (
    "head_norm", "head_grad_before", "head_grad", "head_grad_applied", "backbone_grad", "backbone_grad_applied",
)  # fmt: skip  # norms of several, and the norm over all of them is asked for


def read_figures(numbers: Numbers, updates: int) -> dict[str, float]:
    """The figures of a step by their names in `StepFacts`; NaN where there was nothing to be measured.

    numbers: by name, see `measure`. updates: optimizer steps that were measured; of several the largest change counts.
    """
    figures = {name: numbers[name][0] if numbers.get(name) else math.nan for name in AS_MEASURED}
    figures |= {name: _length(numbers[name]) if name in numbers else math.nan for name in OVER_ALL}
    for name in ("head_grad", "backbone_grad"):  # without clipping both are the same
        if name not in numbers:
            figures[name] = figures[f"{name}_applied"]
    changes = (("head_update", updates), ("backbone_update", updates), ("head_moved", 1), ("backbone_moved", 1))
    for name, times in changes:
        figures[name] = _share(numbers.get(name, ()), numbers.get(f"{name}_of", ()), times)
    apart = numbers.get("head_apart", ())
    figures["head_overwritten"] = _apart_at_unit_length(apart)
    figures["head_shortened"], figures["head_found"] = _shortened(apart)
    return figures | _of_classification(numbers) | _of_targets(numbers) | _of_features(numbers)


def counted_labels(numbers: Numbers) -> list[int]:
    """The labels of the rows that the loss counts."""
    return [label for label, _, _ in _counted_rows(numbers)]


def _counted_rows(numbers: Numbers) -> list[tuple[int, int, float]]:
    """Label, likeliest class and CE of each."""
    classes, (ignored,) = [int(number) for number in numbers["classes"]], numbers["ignored"]
    count = len(classes) // 2
    rows = zip(classes[:count], classes[count:], numbers["row_ce"], strict=True)
    return [row for row in rows if row[0] != ignored]


def turned_by(numbers: Numbers, own_functions: Sequence[str]) -> str:
    """The first function that gave on the gradient times a number below 0; "" where there is none."""
    cosines = numbers.get("own_functions", ())
    return next((name for name, cosine in zip(own_functions, cosines, strict=True) if cosine < TURNED), "")


def _of_classification(numbers: Numbers) -> dict[str, float]:
    """CE (nats, plain), top-1 and what the labels look like. Rows that the loss ignores count for nothing."""
    rows = _counted_rows(numbers)
    labels = sorted(label for label, _, _ in rows)
    return {
        "ce": _mean([ce for _, _, ce in rows], 0.0),
        "top1": _mean([float(label == likeliest) for label, likeliest, _ in rows], 0.0),
        "batch": len(rows),
        "label_min": labels[0] if labels else 0,
        "label_max": labels[-1] if labels else 0,
        "distinct_labels": len(set(labels)),
        # The sine of each label, so that different sets of labels hardly ever have the same sum.
        "label_checksum": sum(math.sin(12.9898 * label) for label in labels),
        "logit_std": _mean(numbers["spread"], math.nan),
    }


def _of_targets(numbers: Numbers) -> dict[str, float]:
    labels, soft = sum(numbers.get("weight_of_labels", ())), sum(numbers.get("weight_of_soft", ()))
    return {
        "soft_over_labels": soft / labels if labels > 0 else math.nan,
        "target_top": _mean(numbers.get("largest_targets", ()), math.nan),
    }


def _of_features(numbers: Numbers) -> dict[str, float]:
    norms, rows = numbers.get("feat_norms", ()), len(numbers.get("feat_norms", ()))
    total = numbers["feat_total"][0] if "feat_total" in numbers else math.nan
    of_pairs = total - rows  # sum over i != j of cos(i, j) = |sum of unit vectors|^2 - B
    return {"feat_norm": _mean(norms, math.nan), "feat_cosine": of_pairs / max(rows * (rows - 1), 1)}


def _share(changed: Sequence[float], whole: Sequence[float], times: int) -> float:
    """The largest |dw| / |w| of `times` changes, one after the other in both; 0 where both are zero."""
    if not changed or not times:
        return math.nan
    each = len(changed) // times
    parts = [(changed[i : i + each], whole[i : i + each]) for i in range(0, len(changed), each)]
    return _largest([_length(dw) / max(_length(w), 1e-12) for dw, w in parts])


def _apart_at_unit_length(lengths: Sequence[float]) -> float:
    """|x - y| / |y| over rows that are brought to unit length: to bring a class's weights back to a length is a common
    constraint.

    lengths: as `measure.apart` has them, of the rows of x, of y and of x - y; or 0 where it was seen that none changed.
    """
    if not lengths:
        return math.nan
    rows = len(lengths) // 3
    befores, afters, changes = lengths[:rows], lengths[rows : 2 * rows], lengths[2 * rows :]
    if not any(changes):
        return 0.0
    apart = 0.0
    for x, y, change in zip(befores, afters, changes, strict=True):
        # Two sides and the angle between them. A row of zeros stays one.
        apart += (change**2 - (x - y) ** 2) / (x * y) if x and y else float(x != y)
    apart = 0.0 if apart < 0 else apart  # by rounding; NaN stays
    return math.sqrt(apart / max(sum(y != 0 for y in afters), 1e-24))


def _shortened(lengths: Sequence[float]) -> tuple[float, float]:
    """By which share of its length y has become shorter, and the length that it came to.

    lengths: as above. 0 where all rows that changed came to one length: that is a constraint, as a largest norm is.
    """
    rows = len(lengths) // 3
    if not rows:  # or none of them changed
        return (0.0 if lengths else math.nan), math.nan
    befores, afters, changes = lengths[:rows], lengths[rows : 2 * rows], lengths[2 * rows :]
    found, left = _length(befores), _length(afters)
    changed = [x for x, y, change in zip(befores, afters, changes, strict=True) if change > ROUNDING * y]
    if not changed or not left or max(changed) - min(changed) <= ROUNDING * max(changed):
        return 0.0, found
    return max(0.0, 1.0 - found / left), found


def _length(norms: Sequence[float]) -> float:
    return math.sqrt(sum(norm * norm for norm in norms))  # math.hypot would make inf of NaN beside inf


def _largest(values: Sequence[float]) -> float:
    return math.nan if any(map(math.isnan, values)) else max(values)


def _mean(values: Sequence[float], of_none: float) -> float:
    return sum(values) / len(values) if values else of_none
