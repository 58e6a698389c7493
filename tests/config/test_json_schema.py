from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from reid_smoke.config.dump import dump_config
from reid_smoke.config.json_schema import config_schema
from reid_smoke.config.load import load_config
from reid_smoke.config.schema import Config

SCHEMA = config_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
OBJECTS = {"Config": SCHEMA, **SCHEMA["$defs"]}


def test_it_is_draft_2020_12() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("name", OBJECTS)
def test_every_key_is_described_and_no_other_is_allowed(name: str) -> None:
    section: dict[str, Any] = OBJECTS[name]
    assert section["additionalProperties"] is False
    assert section["description"]
    assert section["title"]
    for key, value in section["properties"].items():
        referred = "$ref" in value or "allOf" in value  # a section, described where it is defined
        assert value.get("description") or referred, f"{name}.{key}"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_ready_configs_load_and_fit_it(path: Path) -> None:
    VALIDATOR.validate(load_config(path).to_plain())


def test_the_defaults_fit_it() -> None:
    VALIDATOR.validate(yaml.safe_load(dump_config(Config())))


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": 1},
        {"optimizer": {"lr": -1}},
        {"data": {"batch_size": "64"}},
        {"rule": {"window": [1]}},
        {"checks": {"ignore": {"RS990": "because"}}},
        {"checks": {"ignore": {"RS115": " "}}},
    ],
)
def test_what_the_loader_refuses_it_refuses(wrong: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(wrong)
