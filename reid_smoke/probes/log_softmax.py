"""Which node stands for the log-softmax of a cross-entropy, however that was written.

By torch's functions, picked by gather or index, multiplied with targets, or put together from exponentials and their
sum. For losses over identities that are no cross-entropy see `other_losses`.
"""

from __future__ import annotations

from torch import Tensor

from reid_smoke.probes.nodes import Node, behind, edges, follow, keeps, name_of, saved, shape_of
from reid_smoke.probes.other_losses import COMPILED, LOSSES, SHAPES, read_given

PICKS = ("Gather", "Index", "MaskedSelect")  # of each row the value at its label
READ = {  # what is read of a log-softmax's stand-ins; of all others their result
    "Logsumexp": ("self", "result"), "Log": ("self",), "LogSigmoid": ("self",),
    **dict.fromkeys((*LOSSES, COMPILED), ()),
}  # fmt: skip
COMBINES = ("Sub", "Add", "Log")  # what ends a CE without a log-softmax


def log_softmax_of(node: Node) -> Node | None:
    """The log-softmax whose labels `node` holds; None where it is no such node, or its values are hidden."""
    found = find_log_softmax(node)
    return found if found is not None and is_kept(found) else None


def hides_log_softmax(node: Node) -> bool:
    """Whether there is one, and somebody's hook has packed its values away."""
    return find_log_softmax(node) is not None and log_softmax_of(node) is None


def is_kept(log_softmax: Node) -> bool:
    """Whether what `log_probs_of` reads is there to be read."""
    return all(keeps(log_softmax, name) for name in READ.get(name_of(log_softmax), ("result",)))


def find_log_softmax(node: Node) -> Node | None:
    """The same, whether its values are hidden or not."""
    name = name_of(node)
    if name.startswith("NllLoss") or name in PICKS:
        return log_softmax_below(node, 0) or _shifted(node)
    by_hand = written_by_hand(node)
    if by_hand is not None:
        return by_hand[0]
    if name == "Mul":  # targets * log_probs, written by hand or by F.cross_entropy with probabilities
        for index, side in ((0, "other"), (1, "self")):
            below = log_softmax_below(node, index)
            targets = saved(node, side)
            if below is None or not is_kept(below):
                continue
            if isinstance(targets, Tensor) and targets.shape == log_probs_of(below).shape:
                return below
    given = read_given(node)
    return given.made_by if given is not None else None


def written_by_hand(node: Node) -> tuple[Node, Node, bool] | None:
    """CE without a log-softmax: `logsumexp(x) - x[label]`, or the log of a softmax's picked probability.

    The node that stands for the log-softmax, the one that picked, and whether `node` gives CE itself and not minus CE.
    """
    if name_of(node) not in COMBINES:
        return None
    if name_of(node) == "Log":
        pick, _ = through(follow(node, (0,)), (*SHAPES, "Clamp", "ClampMin", "Add"))
        softmax = _softmax_of(follow(pick, (0,))) if pick is not None and name_of(pick) in PICKS else None
        if softmax is None and pick is not None and _takes_all_rows(pick):
            pick, _ = through(follow(pick, (0,)), SHAPES)
        if pick is not None and name_of(pick) == "Sum":  # of softmax * one-hot
            pick, _ = through(follow(pick, (0,)), SHAPES)
            if pick is not None and name_of(pick) == "Mul":
                softmax = _softmax_of(follow(pick, (0,))) or _softmax_of(follow(pick, (1,)))
        if softmax is None or pick is None:
            return None
        return (softmax, pick, False) if name_of(pick) in PICKS or targets_of(pick, softmax) is not None else None
    sides = [through(child, (*SHAPES, "Neg", "Mean", "Sum")) for child in edges(node)[:2]]
    if len(sides) < 2:
        return None
    if name_of(node) == "Sub":
        sides[1] = (sides[1][0], -sides[1][1])
    for (whole, sign), (pick, other) in (sides, sides[::-1]):
        if whole is None or pick is None or name_of(pick) not in PICKS or sign == other or not _sums_up(whole):
            continue
        # The same logits on either side: a cast to fp32 may stand on one of them only.
        if through(_summed(whole), SHAPES)[0] is through(follow(pick, (0,)), SHAPES)[0]:
            return whole, pick, sign > 0
    return None


def _takes_all_rows(node: Node) -> bool:
    """An index by which none of (B,) is left out, as of the probabilities that are not 0 where none is."""
    given, taken = follow(node, (0,)), shape_of(node)
    return name_of(node) in PICKS and given is not None and len(taken) == 1 and shape_of(given) == taken


def _softmax_of(node: Node | None) -> Node | None:
    """A softmax, through views and casts; of `x.exp() / x.exp().sum(1)` the exponentials. None for anything else."""
    node, _ = through(node, SHAPES)
    if node is None or name_of(node) == "Softmax":
        return node
    above = shared_out(node)
    if above is not None and name_of(above) == "Mul":  # some classes are left out of it
        above, _ = through(next(iter(_made_of(above)), None), SHAPES)
    return above if above is not None and name_of(above) == "Exp" else None


def shared_out(node: Node) -> Node | None:
    """What is divided by its own sum, to which a little may be added that it never is 0; None: no such division."""
    return through(edges(node)[0], SHAPES)[0] if _total_of(node) is not None else None


def _total_of(node: Node) -> Node | None:
    """The sum by which it is divided."""
    if name_of(node) != "Div" or len(edges(node)) < 2:
        return None
    above = through(edges(node)[0], SHAPES)[0]
    below = through(edges(node)[1], (*SHAPES, "Add", "Clamp", "ClampMin"))[0]
    if above is None or below is None or name_of(below) != "Sum":
        return None
    return below if through(follow(below, (0,)), SHAPES)[0] is above else None


def _made_of(product: Node) -> list[Node]:
    """The factors through which a gradient goes."""
    return [child for child in edges(product) if child is not None]


def targets_of(product: Node, log_softmax: Node | None) -> Tensor | None:
    """What (log-)probabilities are multiplied with, (B, C); None where it is not kept or does not fit."""
    for index, side in ((0, "other"), (1, "self")):
        below = follow(product, (index,))
        if log_softmax is not None and log_softmax in (log_softmax_below(product, index), _softmax_of(below)):
            targets = saved(product, side)
            fits = (
                isinstance(targets, Tensor)
                and is_kept(log_softmax)
                and targets.shape == log_probs_of(log_softmax).shape
            )
            return targets if fits else None
    return None


def _shifted(pick: Node) -> Node | None:
    """The logsumexp of a log-softmax written by hand, `x - logsumexp(x)`, from which `pick` picks."""
    minus, _ = through(follow(pick, (0,)), SHAPES)
    if minus is None or name_of(minus) != "Sub" or len(edges(minus)) < 2:
        return None
    logits, whole = (through(child, SHAPES)[0] for child in edges(minus)[:2])
    same = whole is not None and _sums_up(whole) and through(_summed(whole), SHAPES)[0] is logits
    return whole if same and logits is not None else None


def through(node: Node | None, names: tuple[str, ...]) -> tuple[Node | None, int]:
    """The first node below with another name than these, and the sign that the minuses on the way make."""
    sign = 1
    while node is not None and name_of(node) in names:
        sign = -sign if name_of(node) == "Neg" else sign
        node = follow(node, (0,))
    return node, sign


def _sums_up(node: Node) -> bool:
    """A logsumexp, in one piece or as `x.exp().sum(1).log()`."""
    if name_of(node) != "Log":
        return name_of(node) == "Logsumexp"
    total, exponentials = follow(node, (0,)), follow(node, (0, 0))
    return total is not None and exponentials is not None and (name_of(total), name_of(exponentials)) == ("Sum", "Exp")


def _summed(node: Node) -> Node | None:
    return follow(node, (0,) if name_of(node) == "Logsumexp" else (0, 0, 0))


def log_softmax_below(node: Node, index: int) -> Node | None:
    """The log-softmax (or log of a softmax) on that edge, through casts and views; None for anything else."""
    child = follow(node, (index,))
    name = name_of(child) if child is not None else ""
    while child is not None and name in ("ToCopy", "View", "UnsafeView", "Neg"):
        child = follow(child, (0,))
        name = name_of(child) if child is not None else ""
    if child is None:
        return None
    if name in ("LogSoftmax", "LogSigmoid"):
        return child
    if name == "Log":
        below = follow(child, (0,))
        if below is not None and name_of(below) in ("Clamp", "ClampMin", "Add"):
            below = follow(below, (0,))
        return below if below is not None and name_of(below) == "Sigmoid" else _softmax_of(below)
    return None


def log_probs_of(node: Node) -> Tensor:
    """(B, C), of what stands for the log-softmax."""
    name = name_of(node)
    if name == "Logsumexp":
        return _less(saved(node, "self"), saved(node, "result"))
    if name == "Log":
        return _less(saved(follow(node, (0, 0)), "result").log(), saved(node, "self").log())
    if name == "LogSigmoid":
        logits: Tensor = saved(node, "self")
        return logits.float().log_softmax(-1)
    result: Tensor = saved(node, "result")
    if name == "Exp":
        return result.clamp_min(1e-30).log().log_softmax(-1)
    if name == "Sigmoid":
        return result.float().logit(1e-7).log_softmax(-1)
    return result if name == "LogSoftmax" else result.clamp_min(1e-30).log()


def is_over_batch(consumer: Node, log_softmax: Node) -> bool:
    """Whether what stands for the log-softmax (B, C) of a loss is taken over the samples."""
    summed: Node | None = log_softmax
    if name_of(log_softmax) == "Log":  # of a sum of exponentials
        summed = follow(log_softmax, (0,))
    elif name_of(log_softmax) == "Exp":  # exponentials, which are divided by their sum
        totals = map(_total_of, behind(consumer, ends=lambda node: node is log_softmax))
        summed = next((total for total in totals if total is not None), None)
    dim = saved(summed, "dim")
    if isinstance(dim, (tuple, list)):
        dim = dim[0] if len(dim) == 1 else None
    return isinstance(dim, int) and (dim - 2**64 if dim >= 2**63 else dim) in (0, -2)


def _less(logits: Tensor, whole: Tensor) -> Tensor:
    """(B, C) less (B,) or (B, 1); what has another shape stays as it is, and is nobody's log-softmax."""
    fits = logits.dim() == 2 and whole.numel() == logits.shape[0]
    return logits.detach() - whole.detach().reshape(-1, 1) if fits else logits.detach()[None]
