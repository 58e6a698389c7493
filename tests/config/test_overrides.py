from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reid_smoke.config.load import load_config
from reid_smoke.config.schema import HEAD_PATTERN, Config, GroupConfig
from reid_smoke.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.yaml"
    path.write_text("data:\n  height: 64\n  batch_size: 0\ntrain:\n")
    return path


def load(file: Path, *overrides: str) -> Config:
    return load_config(file, ["data.batch_size=8", "train.steps=400", *overrides])


def problems(file: Path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(file, *overrides)
    return str(raised.value).splitlines()


def test_the_value_is_yaml(file: Path) -> None:
    config = load(file, "optimizer.lr=1e-3", "data.mean=[0, 0, 0]", "data.root=", "train.clip={norm: 5}", "name=a")
    assert config.optimizer.lr == 0.001
    assert config.data.mean == (0.0, 0.0, 0.0)
    assert config.data.root is None
    assert config.train.clip is not None
    assert config.train.clip.norm == 5.0
    assert config.data.height == 64  # what the file says of the rest stays


def test_the_last_word_counts(file: Path) -> None:
    assert load(file, "seed=1", "seed=2").seed == 2


def test_a_section_that_is_missing_is_made(file: Path) -> None:
    assert load(file, "train.clip.norm=5").train.clip is not None


def test_an_item_of_a_default_list(file: Path) -> None:
    assert load(file, "optimizer.groups.0.lr=1e-3").optimizer.groups == [GroupConfig(match=HEAD_PATTERN, lr=1e-3)]


def test_an_item_behind_the_last(file: Path) -> None:
    config = load(file, "optimizer.groups.1.match=bias", "optimizer.groups.1.lr=2e-5")
    assert [group.lr for group in config.optimizer.groups] == [0.01, 2e-5]


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("optimizer.lr", "expected key=value, such as optimizer.lr=1e-4"),
        ("=3", "expected key=value, such as optimizer.lr=1e-4"),
        ("a..b=3", "expected key=value, such as optimizer.lr=1e-4"),
        ("name=[1", "the value is not valid YAML: expected ',' or ']', but got the end of the file"),
        ("name=!!python/name:os.system x", "the tag !!python/name:os.system is not allowed: a config holds only text,"),
        ("data.height.x=3", "data.height is a value, not a section: 'x' cannot be set in it"),
        ("optimizer.groups.7.lr=3", "optimizer.groups has 1 items, counted from 0: there is no place 7"),
        ("optimizer.groups.lr=3", "optimizer.groups is a list: give a number after it, not 'lr'"),
        ("optimizer.larning_rate=3", "optimizer.larning_rate: unknown key. Did you mean lr?"),
        ("optimizer.lr=-3", "optimizer.lr: found -3, expected 0 or more"),
        ("optimizer.groups.1.match=x", "optimizer.groups.1.lr: missing, and it has no default"),
        ("data.source=market1501", "data: source market1501 needs root"),
        ("name=12", "name: found 12, expected text: put it in quotation marks"),
    ],
)
def test_a_problem_with_an_override_names_it(file: Path, override: str, problem: str) -> None:
    (found,) = problems(file, override)
    assert f"--set {override}" in found
    assert problem in found


def test_the_file_keeps_its_own_problems(file: Path) -> None:
    file.write_text("data:\n  source: market1501\nzz: 1\n")
    assert [line.split(":", 2)[1] for line in problems(file, "data.height=64")] == ["1", "3"]


def test_an_override_can_mend_the_file(file: Path) -> None:
    with pytest.raises(ConfigError):
        load_config(file)
    assert load(file).data.batch_size == 8


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text() | st.from_regex(r"(optimizer|data|rule|name)(\.(groups|0|lr|mean|window)){0,3}=.*", fullmatch=True))
def test_any_override_is_applied_or_refused(file: Path, text: str) -> None:
    message = "--set "
    try:
        load(file, text)
    except ConfigError as error:
        message = str(error)
    assert "--set " in message
