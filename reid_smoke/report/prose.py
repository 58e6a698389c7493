"""Sentences and numbers of the report, in exact and calm words."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

from reid_smoke.report.document import Checks, Report, Retrieved, Timing, TrialEntry

ENDED = {
    "finished": "the training ended there",
    "stopped": "the run was stopped there",
    "interrupted": "it was interrupted there",
    "crashed": "the training crashed there",
    "killed": "it was killed there",
}
RANK_ENDED = {
    "killed": "died after step {step}",
    "crashed": "crashed after step {step}",
    "running": "was still at work when the first ended, last heard of at step {step}",
    "unheard": "left no facts here (another machine, without a common folder?)",
}


def ce(report: Report) -> str:
    """CE against chance and bar."""
    rule, figures = report.rule, report.ce
    if figures.not_finite_at is not None:
        said = f"not a finite number from step {figures.not_finite_at}"
    elif figures.window_mean is not None and report.global_step >= rule.window[0]:
        said = f"{figures.window_mean:.2f} over steps {rule.window[0]} to {min(rule.window[1], report.global_step)}"
    elif figures.last is not None:
        said = f"{figures.last:.2f} at step {report.global_step}"
    elif report.ended == "stopped" and rule.chance_ce is not None:
        return "not measured: the training was ended before its first step was over"
    else:
        return "not seen: no identity loss went through backward"
    if rule.chance_ce is not None and rule.max_ce is not None:
        said += f" (chance {rule.chance_ce:.2f}, bar {rule.max_ce:.2f})"
    return said


def trend(report: Report) -> str | None:
    if report.ce.trend_per_100_steps is None:
        return None
    per_100 = round(report.ce.trend_per_100_steps, 2)
    return f"{per_100:+.2f} per 100 steps" if per_100 else "0.00 per 100 steps"


def in_play(report: Report) -> str | None:
    rule = report.rule
    if rule.identities_in_play is None or rule.num_classes is None:
        return None
    said = f"{rule.identities_in_play} of {rule.num_classes}, that is exp(CE)"
    return said if rule.max_ce is None else f"{said}; {max(1, round(exp(rule.max_ce)))} at the bar"


def bar(report: Report) -> str | None:
    """What the bar means: the share of the identities that it asks to be ruled out."""
    rule = report.rule
    if rule.chance_ce is None or rule.max_ce is None or rule.num_classes is None:
        return None
    below = rule.chance_ce - rule.max_ce
    ruled_out = 1 - exp(-below)
    share = "a third" if abs(ruled_out - 1 / 3) < 0.02 else f"{ruled_out:.0%}"
    return f"{rule.max_ce:.2f} is log {rule.num_classes} - {below:.2f}: {share} of the identities ruled out"


def steps(report: Report) -> str:
    """Where in the epoch, and the global step: both, since logs use either."""
    if report.step_in_epoch is None:
        return "none"
    of = f"/{report.steps_per_epoch}" if report.steps_per_epoch else ""
    said = f"{report.step_in_epoch}{of} of epoch {report.epoch}, global step {report.global_step}"
    early = report.global_step < report.rule.window[1] and report.ended != "finished"
    return f"{said}; {ENDED[report.ended]}" if early else said


def looks(report: Report) -> str | None:
    rule = report.rule
    if rule.looks is None:
        return None
    said = f"{rule.looks:.1f} by step {min(report.global_step, rule.window[1])}"
    if rule.moved_from is not None:
        opened, closed = rule.moved_from
        said += f"; too few by step {closed}, so the window moved from steps {opened} to {closed}"
    return said


def retrieval(report: Report) -> list[str]:
    """How well people are found, before and after, beside colour and chance: a line each; none where not asked for."""
    found = report.retrieval
    if found is None:
        return []
    measured = (
        (found.before, "before training"),
        (found.after, "after it"),
        (found.colour, "by colour alone"),
        (found.chance, "by chance"),
    )
    where = f"{found.queries:,} queries, {found.gallery:,} images: {'some of the ' if found.drawn else ''}{found.on}"
    return [
        *(f"{_found(each)} {how}" for each, how in measured if each is not None),
        f"{where}, {'the same camera' if found.cameras_apart else 'itself'} left out",
        *(f"by caption: {_found(each.by_caption)} {how}" for each, how in measured if each and each.by_caption),
        *([f"{found.captions:,} captions in the same images"] if found.captions else []),
    ]


def _found(retrieved: Retrieved) -> str:
    return f"Rank-1 {retrieved.rank1:.2f}, mAP {retrieved.mean_ap:.2f}"


def ranks(report: Report) -> str | None:
    """How many train together, on how many images, and which of them came to grief."""
    if not report.ranks:
        return None
    batches = [entry.batch for entry in report.ranks if entry.batch]
    said = str(len(report.ranks))
    if len(batches) == len(report.ranks) and len(set(batches)) == 1:
        said += f" of {batches[0]} images each, {sum(batches)} an update"
        if report.way_in != "watch":
            said += ", with the lr as written: it is not scaled"
    for entry in report.ranks[1:]:
        if entry.ended in RANK_ENDED:
            said += f"; rank {entry.rank} {RANK_ENDED[entry.ended].format(step=entry.step)}"
    return said


def checks(counts: Checks) -> str:
    faults = f"{counts.failed} fault{'' if counts.failed == 1 else 's'}"
    ignored = f", {counts.ignored} ignored" if counts.ignored else ""
    return (
        f"{counts.passed} passed, {faults}, {counts.warned} seen too, "
        f"{counts.skipped} skipped, {counts.errored} errored{ignored}"
    )


def baseline(report: Report) -> str | None:
    """What of the findings is known, and what the exit code makes of that."""
    former = report.baseline
    if former is None:
        return None
    listed = ((former.known, "known"), (former.new, "new"), (former.gone, "not found this time"))
    said = f"{former.file}: " + ("; ".join(f"{', '.join(codes)} {how}" for codes, how in listed if codes) or "empty")
    if former.excused:
        return f"{said}. Every fault is known and CE passes by itself: the exit code is 0"
    if report.verdict == "NO-GO" and not any(f.severity != "warn" and not f.known for f in report.findings):
        return f"{said}. No fault is new, but without them the verdict would not be GO either: the exit code is 1"
    return said


def timing(figures: Timing) -> str | None:
    said = []
    if figures.startup_s is not None:
        long = {name: s for name, s in figures.startup.items() if s >= 0.1 * figures.startup_s}
        where = f" ({', '.join(f'{name} {seconds(s)}' for name, s in long.items())})" if long else ""
        said.append(f"{seconds(figures.startup_s)} to start{where}")
    if figures.train_s is not None:
        said.append(f"{seconds(figures.train_s)} training")
    if figures.images_per_s is not None:
        said.append(f"{figures.images_per_s:,.0f} images/s")
    if figures.data_wait_share is not None:
        said.append(f"{figures.data_wait_share:.0%} of the time waiting for data")
    if figures.one_cuda_graph:
        said.append("each step one CUDA graph")
    elif figures.why_kernel_by_kernel:
        said.append(f"kernel by kernel: {figures.why_kernel_by_kernel}")
    return ", ".join(said) or None


def seconds(value: float) -> str:
    if value < 10:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def go(report: Report) -> str:
    """What a GO means, and what it does not."""
    if report.way_in == "overfit":
        return (
            "The model can learn a few fixed samples: loss, gradient and optimizer work together. "
            "`reid-smoke run` judges the whole data and the schedule."
        )
    return "Keep training. GO says that identities are being told apart, not how good the model will get."


def missing(report: Report) -> str:
    """What an UNKNOWN lacked."""
    dead = [entry for entry in report.ranks if entry.ended == "killed" and entry.rank]
    if dead and (report.crash is None or not report.crash.rank):
        return f"rank {dead[0].rank}, whose process was gone after step {dead[0].step} and left no word"
    if report.crash is not None:
        crash = report.crash
        return f"the training raised {crash.exception} at {crash.where}: {crash.message}"
    if not report.ce.curve:
        return "a cross-entropy over identities that goes through backward"
    if report.global_step < report.rule.window[1]:
        return f"steps {report.global_step + 1} to {report.rule.window[1]}; {ENDED[report.ended]}"
    if report.rule.chance_ce is None:
        return "the number of identities, and with it chance"
    return "a sound base to judge by; the reason is above"


def what_to_do(report: Report) -> str:
    """The next step after an UNKNOWN."""
    end = report.rule.window[1]
    if any(entry.ended == "killed" and entry.rank for entry in report.ranks):
        return (
            "look at what that rank wrote last, and for the out-of-memory killer in that machine's log (`dmesg`), then "
            "run it again"
        )
    if report.crash is not None:
        return "mend that line, then run it again"
    if not report.ce.curve:
        return "see that the training reaches `loss.backward()` with an identity loss, then run it again"
    if report.global_step < end:
        per_step = (report.timing.train_s or 0.0) / report.global_step
        takes = f", about {seconds(per_step * end)} at this pace" if per_step else ""
        # What ended by itself does so again.
        go_on = "let its loop go on" if (report.ended, report.way_in) == ("finished", "watch") else "run it again"
        return f"{go_on}, to step {end}{takes}"
    return "mend what the reason names, then run it again"


def offer(report: Report) -> str | None:
    """The command that tries what mends a No-Go; `overfit` and a watched script have no config to change."""
    if report.verdict != "NO-GO" or report.way_in != "run":
        return None
    return report.command.replace("reid-smoke run", "reid-smoke triage", 1).replace(" --continue", "", 1) or None


def batches(trials: Sequence[TrialEntry]) -> str:
    """What the trials were made on."""
    steps = max(trial.steps for trial in trials)
    if trials[0].batches == "stream":
        return f"each from the same start, on the training's own batches, {steps} steps"
    return f"each from the same start, on the same {trials[0].distinct_batches} batches over and over, {steps} steps"


def trial(row: TrialEntry) -> tuple[str, str]:
    """CE from where to where, and whether that is learning."""
    if row.error:
        return "", f"crashes: {row.error.partition(':')[0]}"  # the whole of it is in report.json
    if row.ce_first is None or row.ce_last is None:
        return "CE not finite", "does not learn"
    return f"{row.ce_first:.2f} → {row.ce_last:.2f}", "learns" if row.learned else "does not learn"
