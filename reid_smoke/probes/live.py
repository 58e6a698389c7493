"""Find the modules and optimizers that are alive, without being told of them.

A user's script hands us nothing. But every module and every optimizer is an object that Python's garbage collector
knows, so one look over those finds them all: the model, a head kept outside of it, a loss with parameters, a second
optimizer. A look takes some tens of milliseconds and is made at the first step and when the graph's leaves change.
"""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain, starmap
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from reid_smoke.probes.schedules import outermost

SHARDING = ("FullyShardedDataParallel", "FSDPModule")  # torch's two ways to divide the weights among the ranks
AVERAGING = (nn.parallel.DistributedDataParallel, nn.DataParallel)
WRAPPERS = ("module.", "_orig_mod.", "_forward_module.")  # DDP and DataParallel, torch.compile, Fabric


@dataclass
class Live:
    """What is alive: names by id of the parameter, the root modules, the optimizers, their schedules.

    An optimizer that the script drops is gone: to keep it here would be to find it alive at the next look.
    """

    roots: list[tuple[str, nn.Module]]  # prefix of its parameters' names, module
    names: dict[int, str]  # id of a parameter -> its name
    parameters: list[tuple[str, nn.Parameter, int]]  # name, parameter, index of its root; in the models' order
    optimizer_refs: list[weakref.ref[Optimizer]]
    scheduler_refs: list[weakref.ref[LRScheduler]]

    @property
    def optimizers(self) -> list[Optimizer]:
        return [alive for ref in self.optimizer_refs if (alive := ref()) is not None]

    @property
    def schedulers(self) -> list[LRScheduler]:
        return [alive for ref in self.scheduler_refs if (alive := ref()) is not None]

    def lacks(self, stepped: Collection[Optimizer]) -> bool:
        """Whether one of these, that took a step, has been built since: for a training's second phase, say."""
        known = self.optimizers
        return any(all(one.param_groups is not other.param_groups for other in known) for one in stepped)

    @property
    def is_sharded(self) -> bool:
        """The weights that the loss reaches come together for the forward alone, and the optimizer has pieces of them.
        Between the two their memory is given back: to look at them then is to look at somebody else's."""
        return any(
            base.__name__ in SHARDING for _, root in self.roots for m in root.modules() for base in type(m).__mro__
        )

    def holds(self, parameter: Tensor | None) -> bool:
        """Whether a model has it that is trained: whoever was replaced has gone from its optimizer."""
        return parameter is None or id(parameter) in self.names

    def name(self, parameter: Tensor) -> str:
        shape = "x".join(map(str, parameter.shape))
        return self.names.get(id(parameter), f"a tensor of {shape} outside of any module")


def find_live(leaves: list[Tensor]) -> Live:
    """Modules that hold a leaf of the loss or a parameter of an optimizer, and all optimizers."""
    found = instances_of(nn.Module, Optimizer, LRScheduler)
    modules: list[nn.Module] = [m for m in found if issubclass(type(m), nn.Module)]
    optimizers: list[Optimizer] = [o for o in found if issubclass(type(o), Optimizer)]
    schedulers: list[object] = [s for s in found if issubclass(type(s), LRScheduler)]
    optimizers = [o for o in optimizers if getattr(o, "param_groups", None) and not _only_passes_on(o)]
    children = {
        id(child) for module in modules for child in module.__dict__.get("_modules", {}).values() if child is not None
    }
    wanted = {id(leaf) for leaf in leaves} | {id(p) for o in optimizers for g in o.param_groups for p in g["params"]}
    roots = [m for m in modules if id(m) not in children and any(id(p) in wanted for p in m.parameters())]
    reached = {id(leaf) for leaf in leaves}
    roots.sort(key=lambda m: -sum(id(p) in reached for p in m.parameters()))
    live = Live([], {}, [], list(map(weakref.ref, optimizers)), list(map(weakref.ref, outermost(schedulers))))
    of_class: Counter[str] = Counter()
    for index, root in enumerate(roots):
        # The root that the loss reaches most is "the model"; others are told apart by their class, and by a number.
        inner = getattr(root, "module", root) if isinstance(root, AVERAGING) else root
        name = type(inner).__name__
        of_class[name] += index > 0
        prefix = "" if index == 0 else f"{name}." if of_class[name] == 1 else f"{name}_{of_class[name]}."
        live.roots.append((prefix, root))
        for name, parameter in root.named_parameters():
            if id(parameter) not in live.names:
                clean = prefix + strip_wrappers(name)
                live.names[id(parameter)] = clean
                live.parameters.append((clean, parameter, index))
    return live


def instances_of(*kinds: type) -> list[Any]:
    """All instances of these classes, and of those derived from them, that the garbage collector knows.

    Between two lines of Python another thread may run, and where it is just making a tuple out of an iterator, one more
    reference to that tuple is an error in that thread: a loader's, say. So the list of everything lives within one call
    that runs no Python and keeps the classes' ids alone; what refers to one of those classes is asked for after it.
    """
    everything = chain.from_iterable(starmap(gc.get_objects, [()]))  # not before the first is wanted
    # Told by `type`: a user's proxy may answer to `__class__` with side effects.
    alive = set(map(id, map(type, everything)))
    classes = [kind for base in kinds for kind in _with_derived(base) if id(kind) in alive]
    return [thing for thing in gc.get_referrers(*classes) if issubclass(type(thing), kinds)]  # each refers to its class


def _with_derived(kind: type) -> set[type]:
    found, ahead = {kind}, [kind]
    while ahead:
        new: set[type] = set(type.__subclasses__(ahead.pop())) - found
        found |= new
        ahead += new
    return found


def _only_passes_on(optimizer: Optimizer) -> bool:
    """A wrapper, as of Lightning or Accelerate: it holds another optimizer, and shows that one's groups."""
    return any(
        issubclass(type(inner), Optimizer) and inner.param_groups is optimizer.param_groups
        for inner in vars(optimizer).values()
        if inner is not optimizer
    )


def strip_wrappers(name: str) -> str:
    """A parameter's name without what DDP, torch.compile and the like put before it."""
    while name.startswith(WRAPPERS):
        name = name.split(".", 1)[1]
    return name.replace("._orig_mod.", ".")


def find_batch_norm(
    live: Live, running_mean: int | None, width: int | None, among: Collection[int]
) -> tuple[str | None, nn.Module | None]:
    """The batch norm whose running mean lies at that address; else a BatchNorm1d of that width, the model's BNNeck.

    among: indices of the roots in which to look; a teacher's neck is not the student's.
    """
    by_width: tuple[str | None, nn.Module | None] = (None, None)
    for prefix, root in (live.roots[index] for index in sorted(among) if index < len(live.roots)):
        for name, module in root.named_modules():
            if not isinstance(module, _BatchNorm):
                continue
            clean = prefix + strip_wrappers(name)
            if (
                running_mean is not None
                and module.running_mean is not None
                and module.running_mean.data_ptr() == running_mean
            ):
                return clean, module
            if width is not None and isinstance(module, nn.BatchNorm1d) and module.num_features == width:
                by_width = (clean, module)
    return by_width
