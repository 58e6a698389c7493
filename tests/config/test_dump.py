from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from reid_smoke.config.dump import dump_config
from reid_smoke.config.load import load_config
from reid_smoke.config.schema import Config

WORDS = st.sampled_from(["off", "1e5", "1e-05", "010", "0o17", "~", "null", "2024-01-01", "a: b", "- a", "é", "1:30"])
PATTERNS = WORDS | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
POSITIVE = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
GROUPS = st.fixed_dictionaries({"match": PATTERNS, "lr": POSITIVE, "weight_decay": st.none() | POSITIVE})
PLAIN = st.fixed_dictionaries(
    {},
    optional={
        "name": WORDS,
        "seed": st.integers(0, 2**32 - 1),
        "data": st.fixed_dictionaries({"root": PATTERNS, "mean": st.tuples(*[st.floats(-1e9, 1e9)] * 3)}),
        "model": st.fixed_dictionaries({"freeze": st.lists(PATTERNS, max_size=3), "feat_norm": st.none() | POSITIVE}),
        "optimizer": st.fixed_dictionaries({"groups": st.lists(GROUPS, max_size=2), "lr": st.none() | POSITIVE}),
        "train": st.fixed_dictionaries({"clip": st.none() | st.fixed_dictionaries({"norm": POSITIVE})}),
    },
)


def config_or_none(plain: dict[str, Any]) -> Config | None:
    try:
        return Config.model_validate(plain)
    except ValidationError:  # a pattern that is no regular expression, a word that is no name
        return None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much], deadline=None)
@example(config=Config.model_validate({"model": {"freeze": ["\x85", "a\u2028b"]}}))  # line breaks of YAML 1.1
@given(config=PLAIN.map(config_or_none).filter(lambda config: config is not None))
def test_a_config_survives_the_round_trip(tmp_path: Path, config: Config) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config), encoding="utf-8", newline="")
    assert load_config(path) == config
    # Readers of YAML 1.1 see the same text as text.
    assert yaml.safe_load(dump_config(config))["name"] == config.name


def test_it_reads_well() -> None:
    text = dump_config(Config())
    assert "  mean: [0.485, 0.456, 0.406]\n" in text
    assert "  groups:\n  - match: ^bn_neck\\.classifier\n    lr: 0.01\n" in text
    assert list(yaml.safe_load(text)) == list(Config.model_fields)
