"""What differed between runs before anything came of them: in their configs, and in what was seen of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from reid_smoke.config.yaml_tree import YamlSyntaxError, read_yaml
from reid_smoke.facts import DatasetFacts, GraphFacts, ParameterFacts, RunFacts
from reid_smoke.report.document import Entry
from reid_smoke.report.past import PastRun

UNTOLD = ("cpu_count",)  # of the environment: nothing of a training depends on it


class Difference(Entry):
    """A key whose value is not the same in all runs."""

    key: str  # dotted, as `--set` takes it
    values: tuple[Any, ...]  # a run each; null where it is not given, and where it is given as null
    given: tuple[bool, ...]


def config_differences(runs: Sequence[PastRun]) -> tuple[list[bool], tuple[Difference, ...]]:
    """Which runs have a config that can be read, and what differs between those that do."""
    flats = [_flat_config(run.folder / "config.yaml") for run in runs]
    has = [flat is not None for flat in flats]
    if sum(has) < 2:
        return has, ()
    return has, tuple(_differing(flats))


def _flat_config(path: Path) -> dict[str, Any] | None:
    """As plain values: a config of another version compares as well as one of this."""
    try:
        plain = read_yaml(path.read_text(encoding="utf-8")).value
    except (OSError, ValueError, YamlSyntaxError):
        return None  # a watched script has none
    return dict(flat(plain)) if isinstance(plain, dict) else None


def flat(plain: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value with its dotted key. The items of a list of sections are numbered; a list of values is one value."""
    inner: Sequence[tuple[Any, Any]] = ()
    if isinstance(plain, dict):
        inner = list(plain.items())
    elif isinstance(plain, list) and any(isinstance(item, dict | list) for item in plain):
        inner = list(enumerate(plain))
    if not inner:
        yield prefix, _plain(plain)
    for key, value in inner:
        yield from flat(value, f"{prefix}.{key}" if prefix else str(key))


def _plain(value: Any) -> Any:
    """As JSON can say it: what is not a number, or a tag that nobody reads, is told as a text."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    known = isinstance(value, bool | int | str | dict | None) or (isinstance(value, float) and isfinite(value))
    return value if known else str(value)


def _differing(flats: Sequence[Mapping[str, Any] | None]) -> Iterator[Difference]:
    """flats: of each run; None where it has nothing to be compared."""
    known = [flat for flat in flats if flat is not None]
    keys = {key: None for flat in known for key in flat}
    sections = {key.partition(".")[0]: None for key in keys}  # in their order
    for key in sorted(keys, key=lambda key: list(sections).index(key.partition(".")[0])):
        if len({repr(flat.get(key)) + str(key in flat) for flat in known}) == 1:
            continue
        if all(flat.get(key) is None for flat in known):
            continue  # a key that one version has and another has not, and that says nothing
        if all(flat.get(key) in ([], {}, None) for flat in known) and any(
            other.startswith(f"{key}.") for other in keys
        ):
            continue  # an empty list here, its items there: each item says so
        yield Difference(
            key=key,
            values=tuple(None if flat is None else flat.get(key) for flat in flats),
            given=tuple(flat is not None and key in flat for flat in flats),
        )


def seen_differences(runs: Sequence[PastRun]) -> tuple[Difference, ...]:
    """What differs in what was seen, whether or not a config says it: the only thing that watched scripts have."""
    return tuple(each for each in _differing([dict(_seen(run)) for run in runs]) if sum(each.given) > 1)


def _seen(run: PastRun) -> Iterator[tuple[str, Any]]:
    ledger, report = run.ledger, run.report
    plan, data, graph = ledger.first(RunFacts), ledger.first(DatasetFacts), ledger.last(GraphFacts)
    yield "way in", report.way_in
    yield "identities", report.rule.num_classes
    if data is not None:
        yield "data", data.source
        yield "images", data.images
    yield "steps per epoch", report.steps_per_epoch
    yield "window", f"{report.rule.window[0]} to {report.rule.window[1]}"
    yield "ranks", plan.ranks if plan is not None else max(1, len(report.ranks))
    if ledger.steps:
        yield "images a step", _range([step.batch for step in ledger.steps], whole=True)
        yield "lr of the head", _range([step.lr_head for step in ledger.steps])
        yield "lr of the rest", _range([step.lr_backbone for step in ledger.steps])
    parameters = ledger.last(ParameterFacts)
    if parameters is not None:
        yield "optimizer", parameters.optimizer or "none seen"
        head = [record.weight_decay for record in parameters.parameters if record.role == "head"]
        yield "weight decay of the head", _range(head)
        yield "parameters", sum(_size(record.shape) for record in parameters.parameters)
    if graph is not None:
        yield "head", graph.head
        yield "fed by", graph.fed_by
    for name, value in report.environment.items():
        if name not in UNTOLD:
            # Of a package that was not imported the build is not known, only its version.
            yield name, value.partition("+")[0] if name == "torchvision" else value


def _size(shape: Sequence[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _range(values: Sequence[float | None], *, whole: bool = False) -> str | None:
    """`1e-05`, or `1e-06 to 0.01` where it changed; None: never known."""
    known = [value for value in values if value is not None and isfinite(value)]
    if not known:
        return None
    low, high = min(known), max(known)
    said = (f"{low:.0f}", f"{high:.0f}") if whole else (f"{low:.3g}", f"{high:.3g}")
    return said[0] if said[0] == said[1] else f"{said[0]} to {said[1]}"
