"""Which labels came up, and whether that can be chance, as the checks on coverage share it."""

from __future__ import annotations

from math import exp

from reid_smoke.facts import LabelFacts, LoaderFacts, RankFacts, RunFacts


def missing_by_chance(labels: LabelFacts) -> float:
    """How many labels would be missing by now if every batch drew its labels at random: C exp(-draws / C)."""
    return labels.num_classes * exp(-labels.draws / labels.num_classes)


def saw_an_epoch(loaders: list[LoaderFacts]) -> bool:
    return any(loader.finished and loader.batches_given for loader in loaders)


def overfits(runs: list[RunFacts]) -> bool:
    """A few fixed samples on purpose: most labels are then missing by intent."""
    return bool(runs) and runs[0].way_in == "overfit"


def came_before(labels: list[LabelFacts]) -> bool:
    """The labels that are missing are those of a head before, which had no others, and they had come up: the head was
    widened for new identities, and only those are trained on now (lifelong learning)."""
    last = labels[-1]
    before = [one for one in labels if one.num_classes < last.num_classes]
    return (
        bool(before)
        and all(label < before[-1].num_classes for label in last.unseen_examples)
        and (last.num_classes - last.seen <= before[-1].seen)
    )


def others_may_have_them(labels: LabelFacts, others: list[RankFacts]) -> bool:
    """The labels that are missing on this rank may all have come up on the others: identities can be divided, too."""
    ranks = 1 + len({fact.rank for fact in others})
    return ranks > 1 and labels.seen * ranks >= labels.num_classes
