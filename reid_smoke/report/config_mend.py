"""The mend of a finding as a change of the run's own config: which keys, from what to what; no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from pydantic import ValidationError

from reid_smoke.config.differing import differing_settings
from reid_smoke.config.dump import dump_config
from reid_smoke.config.overrides import OverrideError, apply_override, read_override
from reid_smoke.config.schema import Config
from reid_smoke.config.yaml_tree import YamlSyntaxError, read_yaml
from reid_smoke.report.document import Report
from reid_smoke.triage.changes import CHANGES


@dataclass(frozen=True)
class ConfigMend:
    """What to change in the config."""

    name: str  # the change, in a few words
    settings: tuple[str, ...]  # each as `--set` takes it
    diff: tuple[tuple[str, str], ...]  # (" ", "-" or "+", line)
    proven: bool  # a trial with this change learned

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """The path of each key that changes."""
        return tuple(tuple(setting.partition("=")[0].split(".")) for setting in self.settings)


def config_mend(report: Report, folder: Path | None) -> ConfigMend | None:
    """The change that a trial proved, or else the one that the first cause's code stands for.

    None where there is no config, no first cause, or nothing in the config that would mend it.
    """
    if folder is None or report.primary is None:
        return None
    try:
        before = Config.model_validate(read_yaml((folder / "config.yaml").read_text(encoding="utf-8")).value)
        if report.proof is not None and report.proof.trial and report.proof.settings:
            after: Config | None = _with(before, report.proof.settings)
            name, proven = report.proof.trial, True
        else:
            fits = (trial for trial in CHANGES if report.primary.code in trial.mends)
            changed = ((trial.name, trial.change(before)) for trial in fits)
            name, after = next(((n, c) for n, c in changed if c is not None and c != before), ("", None))
            proven = False
    except (OSError, ValueError, ValidationError, YamlSyntaxError, OverrideError):
        return None  # a watched script, or a config of another version
    if after is None:
        return None
    return ConfigMend(
        name, differing_settings(before, after), tuple(_diff(dump_config(before), dump_config(after))), proven
    )


def _with(config: Config, changes: tuple[str, ...]) -> Config:
    plain = config.to_plain()
    for change in changes:
        plain = apply_override(plain, read_override(change))
    return Config.model_validate(plain)


def _diff(before: str, after: str) -> Iterator[tuple[str, str]]:
    """The lines that change, below the section that they stand in. Keys that say nothing are left out."""
    old, new = before.splitlines(), after.splitlines()
    shown = ""
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        section = next((line for line in reversed(old[: a + 1]) if not line.startswith((" ", "-"))), "")
        if section != shown and old[a : a + 1] != [section]:
            yield " ", section
        shown = section
        yield from (("-", line) for line in old[a:b])
        yield from (("+", line) for line in new[c:d] if not line.endswith(": null"))
