"""Several processes that train together: which of them this is, what joins them, and how they stop at the same step.

The only reader of RANK and WORLD_SIZE beside `watch/ranks.py`. Torch is imported where it is needed, and no sooner.
"""

from __future__ import annotations

import os
import signal
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from reid_smoke.errors import UsageError

if TYPE_CHECKING:
    import torch

    from reid_smoke.build.training import Training

# A rank that is gone closes its connections, and a launcher tells the others; this is for where neither happens.
TIMEOUT = timedelta(minutes=2)
WORDS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True)
class Place:
    """This process among all. rank: of `ranks`, counted from 0; local_rank: of `local_ranks` on this machine."""

    rank: int = 0
    ranks: int = 1
    local_rank: int = 0
    local_ranks: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        return self.ranks == 1


def find_place() -> Place:
    """As torchrun, or whatever else starts several processes, tells in the environment.

    Raises UsageError where that is contradictory, or too little for the ranks to find each other.
    """
    told = {name: os.environ[name] for name in WORDS if os.environ.get(name)}
    try:
        numbers = {name: int(value) for name, value in told.items()}
    except ValueError:
        raise UsageError(f"the environment has {_in_words(told)}, which are no numbers") from None
    ranks = numbers.get("WORLD_SIZE", 1)
    if ranks <= 1:
        return Place()
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if missing:
        raise UsageError(
            f"the environment has WORLD_SIZE={ranks}, but no {' and no '.join(missing)}: start the processes with "
            "`torchrun --nproc-per-node N -m reid_smoke run CONFIG`, or unset WORLD_SIZE"
        )
    rank = numbers["RANK"]
    local = numbers.get("LOCAL_RANK", rank)
    place = Place(rank, ranks, local, numbers.get("LOCAL_WORLD_SIZE", max(local + 1, min(ranks, 1))))
    if not (0 <= rank < ranks and 0 <= local < place.local_ranks <= ranks):
        raise UsageError(f"the environment has {_in_words(told)}, which contradict each other")
    return place


def _in_words(told: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in told.items())


def device_of(place: Place, device: torch.device) -> torch.device:
    """The device of this rank: of CUDA devices the one of its LOCAL_RANK.

    Raises UsageError where this machine has fewer of them than ranks.
    """
    import torch

    if place.is_alone or device.type != "cuda":
        return device
    there = torch.cuda.device_count()
    if there < place.local_ranks:
        raise UsageError(
            f"{place.local_ranks} processes were started on this machine, and torch sees {there} "
            f"GPU{'' if there == 1 else 's'}: start {there} (`torchrun --nproc-per-node {there}`), "
            "or say --device cpu"
        )
    found = torch.device("cuda", place.local_rank)
    torch.cuda.set_device(found)
    return found


class Ranks:
    """The processes, joined. Of one process alone: nothing to join, and every method answers for it."""

    def __init__(self, place: Place, store: Any = None) -> None:
        self.place = place
        self._store = store  # torch.distributed.Store

    def share(self, training: Training) -> Training:
        """The same training with a model whose gradients are averaged over all ranks, and its own dropout.

        The weights are the first rank's; BN statistics are each rank's own, and the first rank's are those that count.
        """
        if self.place.is_alone:
            return training
        import torch
        from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
        from torch.nn.parallel import DistributedDataParallel

        from reid_smoke.build.own_loss import OwnLoss
        from reid_smoke.train.captured import where_steps_are, why_one_by_one

        ids = [training.device.index] if training.device.type == "cuda" else None
        # Its hooks remember on which stream they were made; let it be the one on which the steps will be asked for.
        with where_steps_are(training.device) if why_one_by_one(training) is None else nullcontext():
            model = DistributedDataParallel(
                training.model,
                device_ids=ids,
                gradient_as_bucket_view=True,  # what was exchanged need not be copied back
                broadcast_buffers=training.forward is not None,  # a model of ours has BN's statistics and nothing else
            )
        # The same average as without it, but divided bucket by bucket, not weight by weight.
        model.register_comm_hook(None, allreduce_hook)
        torch.manual_seed(training.config.seed + self.place.rank)
        # A model that is called in a way of its own must be called through what averages its gradients, too.
        forward = None if training.forward is None else training.forward.over(model)
        loss = training.loss
        if isinstance(loss, OwnLoss) and any(p.requires_grad for p in loss.criterion.parameters()):
            loss = loss.over(DistributedDataParallel(loss.criterion, device_ids=ids))
        return replace(training, model=model, forward=forward, loss=loss)

    def tell(self, what: str, word: str) -> None:
        """The first rank's word, for `hear`."""
        if not self.place.is_alone:
            self._store.set(what, word)

    def hear(self, what: str) -> str:
        """What the first rank told, once it has. Raises torch's DistError where it does not for `TIMEOUT`."""
        return bytes(self._store.get(what)).decode()

    def is_agreed(self, step: int, window_end: int) -> bool:
        """Whether the ranks agree at this step on whether to go on. At the others nobody waits for anybody."""
        return self.place.is_alone or step < 10 or step % 10 == 0 or step == window_end

    def agree(self, step: int, stop: bool) -> bool:
        """The first rank's `stop`, on every rank. A word through the store: no device has to wait for it."""
        return self.share_word(f"after step {step}", "stop" if stop else "go on") == "stop"

    def share_word(self, what: str, word: str) -> str:
        """The first rank's word, on every rank."""
        if self.place.is_first:
            self.tell(what, word)
            return word
        return self.hear(what)

    def hear_no_signal(self) -> None:
        """From here on the report is written, whatever a launcher sends to end this rank with the others."""
        if not self.place.is_alone:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)

    def leave(self) -> None:
        """Where all went well; after an error it may wait for a rank that is gone."""
        if not self.place.is_alone:
            import torch.distributed as dist

            dist.destroy_process_group()


def join(place: Place, device: torch.device) -> Ranks:
    """Join the ranks: over NCCL on CUDA devices, over gloo on others. Waits for all of them to come."""
    if place.is_alone:
        return Ranks(place)
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store, rank, ranks = next(rendezvous("env://", place.rank, place.ranks, timeout=TIMEOUT))
    on_gpu = device.type == "cuda"
    dist.init_process_group(
        "nccl" if on_gpu else "gloo",
        store=PrefixStore("training", store),
        rank=rank,
        world_size=ranks,
        timeout=TIMEOUT,
        device_id=device if on_gpu else None,
    )
    return Ranks(place, PrefixStore("reid-smoke", store))


ALONE = Ranks(Place())
