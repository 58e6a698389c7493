"""One smoke run from a config to a judgement: the road that `run` and `overfit` share.

Everything that can be wrong with the user's input is found before the run's folder is made, so that a bad config
leaves nothing behind. From the first step on, whatever happens is reported. Where a batch does not fit into memory, the
training begins anew with half of it, see `smaller_batch.py`. After a GO `run --continue` hands over, see
`handing_over.py`.
"""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reid_smoke.build.data.training_set import TrainingSet
from reid_smoke.config.differing import differing_settings
from reid_smoke.config.dump import dump_config
from reid_smoke.config.schema import Config
from reid_smoke.errors import CouldNotJudge, ReidSmokeError
from reid_smoke.facts import AnyFact, EndFacts, OutOfMemoryFacts, ProbeFault, RetrievedFacts, UnreadableFacts
from reid_smoke.folder import make_run_folder
from reid_smoke.last_resort import SECONDS_OF_FIRST, SECONDS_OF_OTHERS, LastResort
from reid_smoke.ledger import Ledger
from reid_smoke.plan import Plan, run_facts
from reid_smoke.preparing import Phases, Prepared, build_from, no_collection, prepare
from reid_smoke.rank_files import OtherRanks, open_rank_ledger
from reid_smoke.report.live import LiveDisplay
from reid_smoke.smaller_batch import smaller_batches
from reid_smoke.train.ranks import Place, Ranks, find_place, join
from reid_smoke.until_certain import How, train_until_certain
from reid_smoke.verdict import Judgement, judge

if TYPE_CHECKING:
    import torch

    from reid_smoke.build.data.loader import Batch
    from reid_smoke.build.training import Training
    from reid_smoke.retrieval.probe import RetrievalProbe
    from reid_smoke.train.loop import Batches


@dataclass(frozen=True)
class Outcome:
    judgement: Judgement
    ledger: Ledger
    folder: Path
    how: How
    exit_code: int  # of all ranks


def smoke(
    plan: Plan, out: Path | None, display: LiveDisplay, *, started: float, last_words: Callable[[Outcome], int]
) -> Outcome:
    """Train until the verdict is certain, and judge. Of several ranks each calls this, and the first judges for all.

    out: the run's folder; by default a fresh one under `runs/`.
    display: shows the facts as they come, and says at once what ends the run.
    started: `time.perf_counter()` at the process's start.
    last_words: what reports the outcome and gives the exit code, where a signal ends a process that waits in vain for
        another rank; the process then ends from there.

    Raises UsageError (and its kin) for bad input, before anything is written.
    """
    place = find_place()
    with sigterm_as_interrupt(), LastResort(_patience(place)) as resort:
        unreadable: list[UnreadableFacts] = []
        seen: list[Batch] = []
        with no_collection():
            phases = Phases(started)
            prepared = prepare(plan, place, unreadable.append, seen.append, phases)
        ranks = join(place, prepared.training.device)
        training = ranks.share(prepared.training)
        folder = _agree_on_folder(plan, out, ranks)
        ledger = _begin_ledger(folder, plan, prepared, place, display, (phases.facts(), *unreadable))
        others = OtherRanks(folder, place.ranks, time.time() - (time.perf_counter() - started))

        def end_here() -> int:
            ledger.add(EndFacts.unmeasured(ledger.steps[-1].step if ledger.steps else 0, "interrupted"))
            if not place.is_first:
                return CouldNotJudge.exit_code
            others.finish_into(ledger)
            judgement = judge(ledger, ended=True)
            return last_words(Outcome(judgement, ledger, folder, "interrupted", judgement.exit_code))

        resort.act = end_here
        unreadable.clear()  # from now on those that come up while training
        retrieval = prepared.retrieval if place.is_alone else None  # other ranks would wait for it
        before = _retrieved(retrieval, training, ledger) if retrieval is not None else None
        asked = plan.config
        # Several ranks would have to agree on it, while those that did not run out of memory wait for one that did.
        sizes = smaller_batches(asked) if place.is_alone else iter(())
        tried: list[OutOfMemoryFacts] = []
        while True:
            smaller = next(sizes, None)
            batches = _batches(training) if plan.hands_over else None
            how = train_until_certain(
                training, ledger, display, unreadable, prepared.steps, started, ranks, others, batches,
                anew_with=differing_settings(asked, smaller) if smaller is not None else (),
            )  # fmt: skip
            before_this, tried = len(tried), ledger.all(OutOfMemoryFacts)
            if smaller is None or len(tried) == before_this:
                break
            training_set, device = prepared.training_set, training.device
            ledger.close()
            display.begins_anew(tried[-1])
            del prepared, training, batches
            _free_memory(device)
            plan = replace(plan, config=smaller)
            seen.clear()
            prepared = build_from(training_set, plan, place, device, unreadable.append, seen.append)
            training = prepared.training
            ledger = _begin_ledger(folder, plan, prepared, place, display, (phases.facts(), *tried))
        if retrieval is not None:
            after = None
            if how in ("finished", "stopped"):
                with suppress(KeyboardInterrupt):  # whoever will not wait for the figure still gets the verdict
                    after = _retrieved(retrieval, training, ledger)
            ledger.add(retrieval.facts.model_copy(update={"before": before, "after": after}))
        if batches is not None and how == "finished":
            how = _hand_over(training, batches, ledger, unreadable, ranks)
        ranks.hear_no_signal()
        resort.stand_down()
        if place.is_first:
            others.finish_into(ledger)
        if seen and place.is_first:
            _show_batch(seen[0], prepared.training_set, plan.config, folder, ledger)
        judgement = judge(ledger, ended=True)
        ledger.close()
        code = judgement.exit_code
        if how in ("finished", "stopped"):
            code = int(ranks.share_word("exit code", str(code)))
            ranks.leave()
    return Outcome(judgement, ledger, folder, how, code)


def _patience(place: Place) -> float | None:
    if place.is_alone:
        return None  # it waits for nobody
    return SECONDS_OF_FIRST if place.is_first else SECONDS_OF_OTHERS


def _agree_on_folder(plan: Plan, out: Path | None, ranks: Ranks) -> Path:
    """The first rank makes the run's folder, and the others hear of it."""
    if not ranks.place.is_first:
        return Path(ranks.hear("folder"))
    folder = make_run_folder(out, plan.config.name, dump_config(plan.config))
    ranks.tell("folder", str(folder.absolute()))
    return folder


def _begin_ledger(
    folder: Path, plan: Plan, prepared: Prepared, place: Place, display: LiveDisplay, facts: Iterable[AnyFact]
) -> Ledger:
    """The ledger of this rank, with what is known before the first step: of the run, of the training, and `facts`."""
    training = prepared.training
    if place.is_first:
        ledger = Ledger(folder / "facts.jsonl")
        ledger.subscribe(display)
        ledger.add(run_facts(plan, training, prepared.window, prepared.steps, place.ranks))
        if plan.baseline is not None:
            ledger.add(plan.baseline)
    else:
        ledger = open_rank_ledger(folder, place.rank, place.ranks)
    for fact in (*training.facts, *facts):
        ledger.add(fact)
    return ledger


def _free_memory(device: torch.device) -> None:
    """What a training held that nobody holds any more, so that the next one finds it free."""
    import torch

    gc.collect()  # a traceback and its frames hold each other
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _retrieved(retrieval: RetrievalProbe, training: Training, ledger: Ledger) -> RetrievedFacts | None:
    """The figure of the model as it is; where measuring fails, that is a fact, and the training goes on."""
    try:
        return retrieval.of_model(training.model, training.device)
    except Exception as error:  # a figure beside the verdict, which must not cost it
        ledger.add(_fault("retrieval", error, ledger))
        return None


def _batches(training: Training) -> Batches:
    from reid_smoke.train.loop import Batches

    return Batches(training)


def _hand_over(
    training: Training, batches: Batches, ledger: Ledger, unreadable: list[UnreadableFacts], ranks: Ranks
) -> How:
    """Where the verdict is GO, train on with SDM."""
    from reid_smoke.handing_over import hand_over

    word = ""
    if ranks.place.is_first:
        verdict = judge(ledger, ended=True).verdict
        word = str(verdict.rule.max_ce) if verdict.word == "GO" else ""
    word = ranks.share_word("hand over under", word)
    if not word:
        return "finished"

    def tell(fact: AnyFact) -> None:
        while unreadable:
            ledger.add(unreadable.pop(0))
        if ranks.place.is_first:
            ledger.add(fact)

    return hand_over(training, batches, float(word), tell, ranks)


def _fault(probe: str, error: Exception, ledger: Ledger) -> ProbeFault:
    step = ledger.steps[-1].step if ledger.steps else 0
    return ProbeFault(step=step, probe=probe, message=f"{type(error).__name__}: {error}")


def _show_batch(batch: Batch, training_set: TrainingSet, config: Config, folder: Path, ledger: Ledger) -> None:
    """The first batch as a picture in the run's folder. After the training: it costs that nothing."""
    from reid_smoke.build.data.contact_sheet import save_sheet, sheet_of_batch

    title = f"{config.name}: the first batch, as the model saw it"
    try:
        save_sheet(sheet_of_batch(batch, training_set, config.data, title), folder / "contact-sheet.jpg")
    except (ReidSmokeError, KeyboardInterrupt):  # a full disk, of which the report will tell; somebody in a hurry
        return
    except Exception as error:  # on a GPU that a label out of range has broken, nothing can be fetched any more
        ledger.add(_fault("contact sheet", error, ledger))


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """A job that is told to end gets the time to write its report, as with Ctrl-C."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is interrupt:  # else somebody has a reason to hear nothing more
            signal.signal(signal.SIGTERM, before)
