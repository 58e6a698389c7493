"""Which labels came up, and whether that can be chance, as the checks on coverage share it."""

from __future__ import annotations

from math import exp

from reid_smoke.facts import LabelFacts, LoaderFacts, RunFacts


def missing_by_chance(labels: LabelFacts) -> float:
    """How many labels would be missing by now if every batch drew its labels at random: C exp(-draws / C)."""
    return labels.num_classes * exp(-labels.draws / labels.num_classes)


def saw_an_epoch(loaders: list[LoaderFacts]) -> bool:
    return any(loader.finished and loader.batches_given for loader in loaders)


def overfits(runs: list[RunFacts]) -> bool:
    """A few fixed samples on purpose: most labels are then missing by intent."""
    return bool(runs) and runs[0].way_in == "overfit"
