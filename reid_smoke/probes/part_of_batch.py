"""Which images of a batch a head is given, where it is given some of them: those of its domain, of its modality."""

from __future__ import annotations

from itertools import accumulate, islice

from reid_smoke.probes.nodes import Node, behind, name_of, saved, shape_of

MOVES_ROWS = ("Index", "Gather", "Flip", "Roll", "Sort")
FAR = 4000  # nodes: a large backbone


def rows_taken(log_softmax: Node | None, path: tuple[int, ...], images: int, labels: int) -> slice | None:
    """The rows that a slice or a split took of all the images, on the path from the log-softmax to what feeds the head.

    None where another number of rows was taken than there are labels, or in another way.
    """
    node, output = log_softmax, 0
    for index in path:
        if node is None or index >= len(node.next_functions):
            return None
        child, of_child = node.next_functions[index]
        if child is not None and shape_of(child)[:1] == (images,) != shape_of(node)[:1]:
            found = _taken(node, output, images)
            fits = found is not None and found.stop - found.start == labels
            return found if fits and not _are_moved(child, images) else None
        node, output = child, of_child
    return None


def _are_moved(feature: Node, images: int) -> bool:
    """Whether the rows may have another order here than the images have."""
    rows = (node for node in islice(behind(feature), FAR) if shape_of(node)[:1] == (images,))
    return any(name_of(node).startswith(MOVES_ROWS) for node in rows)


def _taken(node: Node, output: int, images: int) -> slice | None:
    """output: which of the parts, of a split."""
    if saved(node, "dim") != 0:
        return None
    if name_of(node) == "Slice":
        start, end, step = (saved(node, name) for name in ("start", "end", "step"))
        if step != 1 or not isinstance(start, int) or not isinstance(end, int):
            return None
        start, end = (at - 2**64 if at >= 2**63 else at for at in (start, end))  # torch may show the int64 as unsigned
        return slice(*slice(start, end).indices(images)[:2])
    if name_of(node) == "Split":
        size = saved(node, "split_size")
        return slice(output * size, min((output + 1) * size, images))
    if name_of(node) == "SplitWithSizes":
        ends = list(accumulate(saved(node, "split_sizes")))
        return slice(ends[output] - int(saved(node, "split_sizes")[output]), ends[output])
    return None
