"""The modules' modes, and the batch norms among them."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from reid_smoke.facts import ModeFacts
from reid_smoke.probes.live import Live, strip_wrappers

MOST_NAMES = 64  # names listed in a fact
MOST = 0.9  # of a dropout's input: beyond what anybody drops on purpose


def batch_norms_of(live: Live, roots: set[int], leaves: set[int]) -> list[tuple[str, _BatchNorm]]:
    """Those beside whose layers the loss reaches a parameter: of a student, and not of the teacher it is held with."""
    return [
        (prefix + strip_wrappers(f"{name}.{child}" if name else child), norm)
        for prefix, root in (live.roots[index] for index in sorted(roots) if index < len(live.roots))
        for name, holder in root.named_modules()
        for child, norm in holder.named_children()
        if isinstance(norm, _BatchNorm) and any(id(p) in leaves for p in holder.parameters())
    ]


def mode_facts(live: Live, roots: set[int], head: Tensor | None, step: int) -> ModeFacts:
    """roots: which of the alive models the loss reaches."""
    modules = norms = synced = 0
    in_eval: list[str] = []
    norms_in_eval = 0
    drop_everything: list[str] = []
    drop_most: list[tuple[str, float]] = []
    for index in sorted(roots):
        prefix, root = live.roots[index] if index < len(live.roots) else ("", None)
        for name, module in root.named_modules() if root is not None else ():
            modules += 1
            is_norm = isinstance(module, _BatchNorm)
            norms += is_norm
            synced += isinstance(module, nn.SyncBatchNorm)
            if not module.training and (is_norm or isinstance(module, _DropoutNd)):
                norms_in_eval += is_norm
                in_eval.append(prefix + strip_wrappers(name))
            if module.training and isinstance(module, _DropoutNd):
                if module.p >= 1:
                    drop_everything.append(prefix + strip_wrappers(name))
                elif module.p >= MOST:
                    drop_most.append((prefix + strip_wrappers(name), module.p))
    model = live.roots[0][1] if live.roots else None  # the root that the loss reaches most
    return ModeFacts(
        step=step,
        modules=modules,
        in_eval=tuple(in_eval[:MOST_NAMES]),
        batch_norms=norms,
        batch_norms_synced=synced,
        batch_norms_in_eval=norms_in_eval,
        root_in_eval=None if model is None else not _within_holders(model, head).training,
        drop_everything=tuple(drop_everything[:MOST_NAMES]),
        drop_most=tuple(drop_most[:MOST_NAMES]),
    )


def _within_holders(model: nn.Module, head: Tensor | None) -> nn.Module:
    """The model that a trainer's or a parallel module merely holds: the one part that has weights, the head's too."""
    while True:
        parts = [child for child in model.children() if any(True for _ in child.parameters())]
        if len(parts) != 1 or not any(p is head for p in parts[0].parameters()):
            return model
        if any(True for _ in model.parameters(recurse=False)):
            return model
        model = parts[0]
