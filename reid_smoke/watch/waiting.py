"""What a watch waited for that did not come, and what it had to choose: sentences for the report; no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from reid_smoke.facts import EndFacts, GraphFacts, LoaderFacts, LoopFacts, RunFacts, ScheduleFacts
from reid_smoke.ledger import Ledger

LEAST = 20  # steps below which no window is worth proposing
SPAN_ALL = ("OneCycleLR", "CosineAnnealingLR", "PolynomialLR", "LambdaLR")  # their length is the whole training's
EARLY = 0.8  # of its length


def waited_for(ledger: Ledger, unclassified: Mapping[str, int] | None) -> tuple[str, ...]:
    """Sentences on what was seen instead of a training that can be judged.

    unclassified: what the losses without a classification came from, and how often; None: torch was never imported.
    """
    if unclassified is None:
        return ("The script never imported torch, so there was nothing to watch.",)
    steps, loop = ledger.steps, ledger.last(LoopFacts)
    if steps:
        return _too_few(ledger)
    if not unclassified:
        end = ledger.last(EndFacts)
        if end is not None and end.how in ("interrupted", "crashed"):
            return ()  # it did not come so far, and why is told already
        updates = loop.optimizer_steps if loop is not None else 0
        seen = f", though an optimizer stepped {updates} times" if updates else ""
        return (
            f"Waited for loss.backward(), and none came{seen}. A training in a process that the script starts is seen "
            "where torch.multiprocessing.spawn or start_processes does it. In another (multiprocessing.Process, a "
            "launcher) it is not: watch that process, or put `with reid_smoke.watch():` around the loop in it.",
        )
    losses = ", ".join(f"{name} ({count}x)" for name, count in list(unclassified.items())[:5])
    said = [
        f"Waited for a cross-entropy over identities: a log-softmax of logits (B, C) with the labels of the batch. "
        f"What backward was called on ends in {losses}."
    ]
    if any("Compiled" in name for name in unclassified):
        said.append(
            "Of a loss that torch.compile made into one node only what its backward kept can be looked at, and that "
            "were no labels (B,) beside scores (B, C): compile the model alone, not the loss."
        )
    return tuple(said)


def about_heads(ledger: Ledger, wanted: re.Pattern[str] | None) -> Iterator[str]:
    """Which head was judged, where there were several or another was asked for."""
    graph, counts = ledger.last(GraphFacts), ledger.last(LoopFacts)
    if graph is None or graph.head is None:
        return
    rivals = tuple(name for name in (counts.rivals if counts is not None else ()) if name not in graph.other_heads)
    others = ", ".join(graph.other_heads)
    if wanted is not None and not wanted.search(graph.head):
        all_heads = ", ".join((graph.head, *graph.other_heads, *rivals))
        yield f"--head {wanted.pattern} matches none of the heads ({all_heads}); {graph.head} was judged."
    elif wanted is None and others:
        yield f"The loss has several heads, and {graph.head} was judged; --head REGEX chooses another of {others}."
    if wanted is None and rivals:
        which = ", ".join(rivals)
        yield (
            f"Other losses with labels go backward by themselves (heads: {which}), and {graph.head} was judged; "
            "--head REGEX chooses another."
        )


def _too_few(ledger: Ledger) -> tuple[str, ...]:
    run, end, done = ledger.first(RunFacts), ledger.last(EndFacts), ledger.done
    if run is None or done >= run.window[1] or (end is not None and end.how in ("interrupted", "crashed")):
        return ()
    if done < LEAST:
        said = f"{done} steps are too few for a verdict: train for {LEAST} at least, or repeat the data."
    else:
        said = f"This training has {done} steps. Choose a window that it reaches: --window {done * 2 // 3}:{done}"
    return (said, _why_it_may_have_ended(ledger)) if end is not None and end.how == "finished" else (said,)


def _why_it_may_have_ended(ledger: Ledger) -> str:
    """Where to look, if the loop was to go on, and what says that it was."""
    facts = ledger.last(ScheduleFacts)
    each = [s for s in facts.schedules if s.name in SPAN_ALL and s.calls >= facts.updates - 1 > 0] if facts else []
    early = next((s for s in each if s.length and s.calls < EARLY * s.length), None)
    planned = f"{early.name} is made for {early.length} steps, and took {early.calls}. " if early is not None else ""
    epoch = max((loader.epoch for loader in ledger.all(LoaderFacts)), default=0)
    given = sum(loader.epoch == epoch and loader.finished for loader in ledger.all(LoaderFacts))
    after = f" The last batch was the last of epoch {epoch}." if given else ""
    return (
        f"{planned}If more was planned, see why the loop got no more batches.{after} An iterator or a generator gives "
        "its batches once: it has to be made anew for each epoch."
    )
