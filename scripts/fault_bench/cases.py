"""Which cases there are, as keys that travel between processes, and how one is run."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fault_bench.controls import Control, all_controls
from fault_bench.faults import all_faults
from fault_bench.faults.register import Fault
from fault_bench.mistakes import EDITS, STYLES
from fault_bench.run import Case, Outcome, run_case
from fault_bench.scripts import run_script
from fault_bench.setups import setups


@dataclass(frozen=True)
class Key:
    """A case by name: functions do not travel between processes, names do."""

    case: str
    setup: str
    seed: int
    omniglot: Path | None
    way: str
    facts: Path | None
    peers: bool = False  # run the other tools on it, too
    device: str = "cpu"  # of a script


def all_cases(arguments: argparse.Namespace) -> list[Key]:
    """The cases that are asked for, seed by seed."""
    only = [word for word in arguments.only.split(",") if word]
    names = [name for name in arguments.setups.split(",") if name]
    if arguments.way == "watch":
        return _scripted(arguments, only, names)
    keys = []
    for seed in range(arguments.seeds):
        for setup in setups(arguments.omniglot):
            if names and setup.name not in names:
                continue
            names_here = []
            for fault in all_faults() if arguments.kind != "controls" else ():
                if setup.name not in fault.not_on and _asked_for(only, fault.name, *fault.wanted):
                    names_here.append(fault.name)
            for control in all_controls() if arguments.kind != "faults" else ():
                if setup.name in control.on and _asked_for(only, control.name, "control"):
                    names_here.append(control.name)
            keys += [
                Key(name, setup.name, seed, arguments.omniglot, "run", arguments.facts, arguments.peers)
                for name in names_here
            ]
    return keys


def _scripted(arguments: argparse.Namespace, only: list[str], names: list[str]) -> list[Key]:
    faults = {f.name: f.wanted for f in all_faults()}
    known = {**faults, **{c.name: ("control",) for c in all_controls()}}
    return [
        Key(case, style, seed, None, "watch", arguments.facts, device=arguments.device)
        for seed in range(arguments.seeds)
        for style in STYLES
        if not names or style in names
        for case in EDITS[style]
        if arguments.kind == "all" or (arguments.kind == "faults") == (case in faults)
        if _asked_for(only, case, *known[case])
    ]


def _asked_for(words: list[str], *names: str) -> bool:
    return not words or any(word in name for word in words for name in names)


def run_key(key: Key) -> dict[str, Any]:
    """Run one case; its outcome as plain data, with what the table asks of it."""
    import torch

    torch.set_num_threads(1)
    fault = next((f for f in all_faults() if f.name == key.case), None)
    control = next((c for c in all_controls() if c.name == key.case), None)
    if key.way == "watch":
        outcome = run_script(key.case, fault.wanted if fault else (), key.setup, key.seed, key.device, key.facts)
    else:
        case = _case(key, fault, control)
        outcome = run_case(case)
    plain = outcome.to_json()
    plain.update(
        ok=_is_right(outcome), structural=fault is not None and fault.structural,
        title=(fault or control).title,  # type: ignore[union-attr]
        named_first=outcome.named_first, listed=outcome.listed, caught=outcome.caught,
    )  # fmt: skip
    if key.peers:
        from fault_bench.peers import hear

        plain["peers"] = hear(case)
    return plain


def _case(key: Key, fault: Fault | None, control: Control | None) -> Case:
    setup = next(s for s in setups(key.omniglot) if s.name == key.setup)
    if fault is not None:
        return Case(fault.name, fault.wanted, setup, {fault.stage: [fault.change]}, key.seed, setup.window, key.facts)
    assert control is not None, key
    return Case(
        control.name,
        (),
        setup,
        {control.stage: [control.change]},
        key.seed,
        control.window or setup.window,
        key.facts,
    )


def _is_right(outcome: Outcome) -> bool:
    """A fault is named first; of a control nothing is said, and it is let go."""
    if outcome.errors:
        return False
    return outcome.named_first if outcome.wanted else not outcome.found and outcome.verdict == "GO"
