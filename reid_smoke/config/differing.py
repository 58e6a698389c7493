"""What differs between two configs, as `--set` takes it."""

from __future__ import annotations

from typing import Any

from reid_smoke.config.schema import Config


def differing_settings(before: Config, after: Config) -> tuple[str, ...]:
    """The keys whose values `after` has and `before` has not, each as `optimizer.lr=1e-05`."""
    from reid_smoke.config.dump import dump_value  # a trial of what was watched writes nothing down and needs no yaml

    old, new = _flat(before.to_plain()), _flat(after.to_plain())
    return tuple(f"{key}={dump_value(value)}" for key, value in new.items() if (key, value) not in old.items())


def _flat(plain: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in plain.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
