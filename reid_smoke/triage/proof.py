"""What the trials prove: which of them learned, which is the smallest change that makes CE fall; no torch.

On the same few batches over and over a training can learn by heart. That takes nothing but a working model, loss and
optimizer, so it decides quickly, whatever the data are like. But labels that are wrong are learnt by heart as well:
where the training as it is does that, the trials are held against the stream, batch after batch as the training itself
sees them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log, sqrt
from statistics import fmean
from typing import Literal

from reid_smoke.facts import TriageFacts, TrialFacts
from reid_smoke.rule import BELOW_CHANCE, LEAST_STEPS, SURE
from reid_smoke.trend import falling_p, standard_error
from reid_smoke.triage.trial import lies_in

LEAST_DROP = 0.1  # nats, on the stream
LEAST_UNSEEN = 12  # images that were not trained on, to say whether labels go with them
UNSEEN_SURE = 3.0  # standard errors above guessing
CLEARLY = 2.0  # standard errors, of theirs under that of other data
STOOD = ("flat", "rises", "broken")  # what CE did in a training that learnt nothing


@dataclass(frozen=True)
class Outcome:
    """One row of the table."""

    trial: TrialFacts
    ce_first: float | None  # nats; None: not one step
    ce_last: float | None
    learned: bool


Where = Literal["loop", "data", "model", "optimizer"]


@dataclass(frozen=True)
class Proof:
    """What all trials together say."""

    outcomes: tuple[Outcome, ...]
    flipped: Outcome | None  # the smallest change that learned
    sentences: tuple[str, ...]
    lies_in: tuple[Where, ...] = ()  # the parts that the fault lies in, where no mend is proven but that is


def guessing_ce(labels: Sequence[int]) -> float | None:
    """CE in nats of guessing by how often each label comes: the entropy of their shares. None without labels."""
    count = len(labels)
    return -sum(n / count * log(n / count) for n in Counter(labels).values()) if count else None


def _guessing(trial: TrialFacts) -> float:
    """CE of having learnt no more than which labels the few batches hold: that tells no image from another."""
    chance = log(max(2, trial.num_classes))
    return chance if trial.guessing_ce is None else min(chance, trial.guessing_ce)


def ends(trial: TrialFacts) -> tuple[float, float] | None:
    """CE where the trial began and where it ended: over one turn of the few batches, or over the first steps and the
    last third of the stream. None for a trial without a step."""
    ce = trial.ce
    if not ce:
        return None
    if trial.batches == "few":
        turn = min(trial.distinct_batches, len(ce))
        return fmean(ce[:turn]), fmean(ce[-turn:])
    return fmean(ce[: max(5, len(ce) // 20)]), fmean(ce[-max(5, len(ce) // 3) :])


def learned(trial: TrialFacts, as_is: TrialFacts | None = None, ce_word: str = "") -> bool:
    """Whether CE fell: under the bar by heart on the few batches, clearly on the stream.

    as_is: the training with nothing changed, on the same batches. The trial must then do clearly better than it: come
    lower, or, where it would mend the first cause and the training itself was merely slow, be clearly sooner.
    ce_word: what CE did in the training itself.
    """
    found = ends(trial)
    if found is None or trial.error or not all(map(isfinite, trial.ce)):
        return False
    first, last = found
    before = ends(as_is) if as_is is not None and all(map(isfinite, as_is.ce)) else None
    if trial.batches == "few":
        guessing = _guessing(trial)
        if not guessing:
            return False  # one label: nothing to be told apart
        by_heart_anyway = as_is is not None and learned(as_is)
        if by_heart_anyway and labels_go_with_images(trial) is False and not trial.for_cause:
            return False  # noise and wrong labels are learnt by heart as well, and sooner by a larger lr
        bar = min(first, guessing) - min(BELOW_CHANCE, guessing / 2)
        least = BELOW_CHANCE - (before[1] - _guessing(as_is)) if before is not None and as_is is not None else 0.0
        sooner = by_heart_anyway and trial.for_cause and ce_word == "slow" and _is_sooner(trial, as_is)
        return last <= bar and (guessing - last >= least or sooner)
    least = LEAST_DROP if before is None else LEAST_DROP + 2 * max(0.0, before[0] - before[1])
    inside = trial.ce[-max(5, len(trial.ce) // 3) :]
    falls = falling_p(trial.ce) < SURE or first - last > BELOW_CHANCE
    return len(trial.ce) >= LEAST_STEPS and falls and first - last > max(least, 3 * standard_error(inside))


def can_be_bettered(trial: TrialFacts) -> bool:
    """Whether what learns by heart leaves anything that a change could come clearly under."""
    found = ends(trial)
    return found is None or found[1] >= BELOW_CHANCE


def _is_sooner(trial: TrialFacts, as_is: TrialFacts | None) -> bool:
    """CE lay clearly lower over the whole trial: as much was learnt in fewer steps."""
    return as_is is not None and fmean(as_is.ce) - fmean(trial.ce) >= BELOW_CHANCE


def prove(trials: Sequence[TrialFacts], end: TriageFacts | None) -> Proof | None:
    """The outcome of every trial, oldest first, and the conclusion. None where nothing was tried.

    end: None where the trials were killed.
    """
    if not trials:
        return Proof((), None, (f"No trials: {end.why_not}.",)) if end is not None and end.why_not else None
    as_is = {trial.batches: trial for trial in trials if trial.together == 0}
    ce_word = end.ce_word if end is not None else ""
    outcomes = tuple(_outcome(trial, as_is.get(trial.batches), ce_word) for trial in trials)
    flipped = smallest(outcomes)
    if end is not None and end.replayed:
        if outcomes[0].learned and flipped is None:  # the others learn, too; what of unseen images is the question
            outcomes = tuple(_outcome(trial, None) for trial in trials)
            flipped = _by_the_unseen(outcomes)
        lies_in = _lies_in(outcomes, flipped, end)
        return Proof(outcomes, flipped, tuple(about_replay(outcomes, flipped, end)), lies_in)
    swaps = flipped.trial.swaps if flipped is not None else ()
    return Proof(outcomes, flipped, tuple(_conclude(outcomes, flipped, end)), swaps)


def _lies_in(outcomes: Sequence[Outcome], flipped: Outcome | None, end: TriageFacts) -> tuple[Where, ...]:
    """Of a replay."""
    if flipped is not None:
        return flipped.trial.swaps
    as_is = outcomes[0]
    loop = as_is.learned and end.ce_word in STOOD and labels_go_with_images(as_is.trial)
    # Within these few batches labels and images may go together, or two people be told apart, and not in the next ones.
    return ("loop",) if loop and lies_in(end.first_cause) != "data" else ()


def _by_the_unseen(outcomes: Sequence[Outcome]) -> Outcome | None:
    """The change, else the other data, with which images are told that were not trained on, and guessed as it is."""
    as_is = outcomes[0].trial
    if not outcomes[0].learned or labels_go_with_images(as_is) is not False:
        return None
    for outcome in sorted(outcomes[1:], key=lambda o: bool(o.trial.swaps)):
        other = outcome.trial
        instead = outcome.learned and other.swaps in ((), ("data",))
        if instead and labels_go_with_images(other) and _tells_the_unseen_better(other, as_is):
            return outcome
    return None


def _tells_the_unseen_better(other: TrialFacts, as_is: TrialFacts) -> bool:
    if other.unseen_rank is None or as_is.unseen_rank is None or not (other.unseen and as_is.unseen):
        return False
    error = sqrt((1 / as_is.unseen + 1 / other.unseen) / 12)
    return other.unseen_rank - as_is.unseen_rank > CLEARLY * error


def smallest(outcomes: Sequence[Outcome]) -> Outcome | None:
    """The change that made CE fall with the fewest settings; a swap only where nothing smaller did."""
    flips = [outcome for outcome in outcomes if outcome.learned and outcome.trial.together]
    return min(flips, key=lambda o: (bool(o.trial.swaps), o.trial.together, len(o.trial.settings)), default=None)


def _outcome(trial: TrialFacts, as_is: TrialFacts | None, ce_word: str = "") -> Outcome:
    first, last = ends(trial) or (None, None)
    return Outcome(trial, first, last, learned(trial, as_is if trial.together else None, ce_word))


_WHERE = {
    "optimizer": "in the optimizer, its schedule or its step",
    "model": "in the model",
    "data": "in the data: the images, the labels, or how they go together",
}


def _conclude(outcomes: Sequence[Outcome], flipped: Outcome | None, end: TriageFacts | None) -> list[str]:
    said: list[str] = []
    as_is = {outcome.trial.batches: outcome for outcome in outcomes if not outcome.trial.together}
    few, stream = as_is.get("few"), as_is.get("stream")
    if flipped is not None:
        said.append(_flip(outcomes, flipped))
    elif stream is not None and stream.learned and end is not None and end.ended == "not needed":
        said.append(
            "CE falls as the training is. What was found is a fault that CE does not show in so few steps, and no "
            "re-run can prove a mend by it."
        )
    elif end is not None and end.ended in ("out of budget", "interrupted"):
        said.append("No change made CE fall so far.")
    else:
        said.append(_nothing(outcomes))
    by_heart = few is not None and few.learned and stream is not None and not stream.learned
    if few is not None and by_heart and (flipped is None or flipped.trial.swaps == ("data",)):
        said.append(
            f"As it is, it learns {few.trial.distinct_batches} batches by heart and still does not learn from the "
            "stream: optimizer, gradient and head work together. The data, the labels, the augmentation or the pace "
            "are what to look at."
        )
    said += _left_out(end)
    return said


def _left_out(end: TriageFacts | None) -> list[str]:
    said: list[str] = []
    if end is None:
        said.append("The trials were killed before they came to their end.")
    elif end.ended == "interrupted":
        said.append("Interrupted: this is what had been tried.")
    elif end.untried:
        said.append(
            f"The budget of {end.budget_s:.0f} s left out {len(end.untried)}: {', '.join(end.untried)}. "
            "Give a larger --budget."
        )
    return said


def about_replay(outcomes: Sequence[Outcome], flipped: Outcome | None, end: TriageFacts) -> list[str]:
    """What the replay of a watched script proves: the first outcome is their model and optimizer in a plain loop."""
    as_is = outcomes[0]
    if as_is.trial.error:
        said = [f"What was kept cannot be played again ({as_is.trial.error}), so the trials say nothing."]
    elif as_is.learned and (flipped is None or flipped.trial.swaps == ("data",)):
        said = [_replay_learned(outcomes, flipped, end)]
    elif flipped is not None:
        names = flipped.trial.name
        if as_is.learned:
            said = [_does_better(as_is, flipped)]
        elif flipped.trial.swaps:
            where = " and ".join(_WHERE[part] for part in flipped.trial.swaps)
            said = [f"The fault lies {where}: with {names} CE falls, and with no smaller change that was tried."]
        else:
            said = [f"CE falls with {names}, from the same start on the same batches: that is the mend."]
            said += _not_the_first_cause(outcomes, flipped, end)
    elif end.ended in ("out of budget", "interrupted"):
        said = ["Nothing learned so far."]
    elif any(len(outcome.trial.swaps) > 1 and not outcome.trial.error for outcome in outcomes):
        said = [
            "No change made CE fall, and neither did the reference's model, optimizer and data together: these trials "
            "are too short to tell."
        ]
    else:
        said = ["No change made CE fall, and the reference could not be tried in full."]
    return [*said, *_left_out(end)]


def _not_the_first_cause(outcomes: Sequence[Outcome], flipped: Outcome, end: TriageFacts) -> list[str]:
    """What would mend the first cause was tried as well, and did less."""
    tried = [outcome.trial.name for outcome in outcomes if outcome.trial.for_cause]
    if flipped.trial.for_cause or not tried:
        return []
    return [f"What {end.first_cause} found is not all: with {' or '.join(tried)} alone CE does not fall."]


def _does_better(as_is: Outcome, flipped: Outcome) -> str:
    """Of a change, where their own model and optimizer learn by heart without it."""
    figures = []
    before, after = as_is.ce_last, flipped.ce_last
    if before is not None and after is not None and before - after >= BELOW_CHANCE:
        figures.append(f"CE comes down to {after:.2f} and not to {before:.2f}")
    elif _is_sooner(flipped.trial, as_is.trial):
        figures.append(
            f"CE is down sooner, {fmean(flipped.trial.ce):.2f} in the mean over {len(flipped.trial.ce)} steps and not "
            f"{fmean(as_is.trial.ce):.2f}"
        )
    if _tells_the_unseen_better(flipped.trial, as_is.trial):
        figures.append(
            f"of images kept aside their identity ranks above {flipped.trial.unseen_rank:.0%} of the others and not "
            f"above {as_is.trial.unseen_rank:.0%}"
        )
    where = " and ".join(_WHERE[part] for part in flipped.trial.swaps)
    return (
        f"Their own model and optimizer learn {as_is.trial.distinct_batches} of their batches by heart in a plain "
        f"loop, but with {flipped.trial.name} {', and '.join(figures)}, from the same start on the same batches: "
        + (f"the fault lies {where}." if where else "that is the mend.")
    )


def labels_go_with_images(trial: TrialFacts) -> bool | None:
    """Whether images that were not trained on are told right more often than by guessing; None: too few to tell."""
    rank, count = trial.unseen_rank, trial.unseen
    if rank is None or count < LEAST_UNSEEN:
        return None
    # A right identity that is anywhere among the others has mean 1/2 and variance 1/12.
    return (rank - 0.5) / sqrt(1 / 12 / count) > UNSEEN_SURE


def _replay_learned(outcomes: Sequence[Outcome], flipped: Outcome | None, end: TriageFacts) -> str:
    """flipped: with other data images that were not trained on are told right."""
    trial = outcomes[0].trial
    own = f"Their own model and optimizer learn {trial.distinct_batches} of their batches by heart in a plain loop"
    loop = (
        "The fault lies in the loop or in the loss: what the script does between the logits and `optimizer.step()` "
        "(zero_grad, accumulation, clipping, scaler, schedule, loss weights), or to the batches that came later"
    )
    if end.ce_word == "slow":
        loop += ". Or else it is in the pace: CE fell in the training, too, and learning by heart does not ask how fast"
    elif end.ce_word not in STOOD:
        loop += ". Or else it is one that CE does not show so early: the training ended before its CE was judged"
    told, rank, count = labels_go_with_images(trial), trial.unseen_rank, trial.unseen
    if told is not False and lies_in(end.first_cause) == "data":
        return (
            f"{own}, and so the fault lies in neither. {end.first_cause} speaks for the data or for how batches are "
            "drawn, which so few batches, over and over, do not show."
        )
    mends = [outcome.trial.name for outcome in outcomes if outcome.trial.for_cause]
    if told is not False and mends and end.ce_word == "slow":
        return (
            f"{own}, with what {end.first_cause} found in them: so few batches, over and over, are learnt with it or "
            f"without it ({' or '.join(mends)}), and prove nothing of a training that is merely slow."
        )
    if told is None or rank is None:
        return (
            f"{own}. {loop}. Or it lies in the data: whether labels and images go together could not be told, since "
            "too few identities came twice."
        )
    seen = f"{count} images kept aside, their identity ranks above {rank:.0%} of the others"
    if told:
        return f"{own}, and of {seen} (50% is guessing): labels and images go together. {loop}."
    guessed = f"{own}, yet of {seen}, and 50% is guessing"
    if flipped is not None:
        return (
            f"{guessed}; with the embedded data it is {flipped.trial.unseen_rank:.0%}. The fault lies in the data: "
            "labels and images do not go together, or the images of one identity have nothing in common."
        )
    return (
        f"{guessed}. So few batches may teach nothing that goes beyond them. Else labels and images do not go "
        "together; and if they do, the fault lies in the loop or in the loss."
    )


def _flip(outcomes: Sequence[Outcome], flipped: Outcome) -> str:
    trial = flipped.trial
    if trial.swaps:
        where = " and ".join(_WHERE[part] for part in trial.swaps)
        return f"The fault lies {where}: with {trial.name} CE falls, and no smaller change that was tried does that."
    as_is = {outcome.trial.batches: outcome for outcome in outcomes if not outcome.trial.together}.get(trial.batches)
    faster = " clearly faster" * (as_is is not None and as_is.learned)
    alone = "" if trial.together == 1 else ", and with neither of them alone" * (trial.together == 2)
    said = f"CE falls{faster} with {trial.name}{alone}, from the same start on the same batches: that is the mend."
    others = [o.trial.name for o in outcomes if o.learned and o.trial.together == 1 and not o.trial.swaps]
    others = [name for name in others if name != trial.name]
    return f"{said} So it does with {' and with '.join(others)}." if others and trial.together == 1 else said


def _nothing(outcomes: Sequence[Outcome]) -> str:
    reference = next((o for o in outcomes if len(o.trial.swaps) > 1), None)
    if reference is not None and not reference.learned:
        return (
            "No change made CE fall, and neither did the reference's model, optimizer and data together: these trials "
            "are too short to tell. Give a larger --budget, or smaller images."
        )
    if any(outcome.learned for outcome in outcomes if outcome.trial.batches == "stream" and not outcome.trial.together):
        return "CE falls as the training is, but too slowly, and no change made it fall clearly faster."
    return (
        "No change made CE fall, so this fault is none that these changes take away. The findings above name what was "
        "seen; the code of the model, the loss and the loop is what is left."
    )
