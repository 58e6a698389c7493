from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reid_smoke.config.load import load_config
from reid_smoke.config.nearest_key import sections
from reid_smoke.config.schema import Config
from reid_smoke.errors import ConfigError


def load(folder: Path, text: str | bytes, *overrides: str) -> Config:
    path = folder / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return load_config(path, overrides)


def problems(folder: Path, text: str | bytes, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(folder, text, *overrides)
    assert raised.value.exit_code == 2
    assert "pydantic" not in str(raised.value)
    return str(raised.value).replace(f"{folder}/", "").splitlines()


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "\ufeff", "{}"])
def test_an_empty_file_is_the_recipe(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text) == Config()


def test_what_people_write(tmp_path: Path) -> None:
    config = load(tmp_path, "optimizer:\n  lr: 1e-2\ntrain:\n  amp: off\nrule: {window: [20, 30]}\ndata: {root: ~/a}\n")
    assert config.optimizer.lr == 0.01
    assert config.train.amp == "off"
    assert config.rule.window == (20, 30)
    assert config.data.root == Path("~/a").expanduser()


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = """\
name: a b
lr: 1e-2
optimizer:
  lerning_rate: 1e-2
  name: adamm
  weight_decay: -1
  weight_decay: 2
  groups:
    - match: "("
      wd: 3
data:
  batch_size: "64"
  mean: [1]
  std: [1, 2, 3, 4]
  augment: flip
  workers: 2.0
  height: true
model:
  backbone: 18
  last_stride: 3
  feat_norm: .inf
train:
  clip: {norm: 1, value: 2}
  amp: !!python/name:os.system x
rule:
  window: [300, 200]
schedule:
"""
    assert problems(tmp_path, text) == [
        'x.yaml:1: name: found "a b", expected text that matches ^[\\w.-]+$',
        "x.yaml:2: lr: unknown key. Did you mean optimizer.lr or optimizer.groups.0.lr?",
        "x.yaml:4: optimizer.lerning_rate: unknown key. Did you mean lr?",
        'x.yaml:5: optimizer.name: found "adamm", expected adamw, adam or sgd. Did you mean adam?',
        "x.yaml:6: optimizer.weight_decay: found -1, expected 0 or more",
        "x.yaml:7: optimizer.weight_decay: given twice, first on line 6",
        "x.yaml:9: optimizer.groups.0.match: '(' is no regular expression: "
        "missing ), unterminated subpattern at position 0",
        "x.yaml:9: optimizer.groups.0.lr: missing, and it has no default",
        "x.yaml:10: optimizer.groups.0.wd: unknown key. Did you mean weight_decay or optimizer.weight_decay?",
        'x.yaml:12: data.batch_size: found "64", expected a whole number: take the quotation marks off',
        "x.yaml:13: data.mean: found a list of 1, expected 3 values",
        "x.yaml:14: data.std: found a list of 4, expected 3 values",
        'x.yaml:15: data.augment: found "flip", expected a list: put it in square brackets',
        "x.yaml:16: data.workers: found 2.0, expected a whole number: write 2",
        "x.yaml:17: data.height: found true, expected a whole number",
        "x.yaml:19: model.backbone: found 18, expected text: put it in quotation marks",
        "x.yaml:20: model.last_stride: found 3, expected 1 or 2",
        "x.yaml:21: model.feat_norm: found inf, expected a finite number",
        "x.yaml:23: train.clip: give either norm or value",
        "x.yaml:24: train.amp: the tag !!python/name:os.system is not allowed: "
        "a config holds only text, numbers and lists",
        "x.yaml:25: rule: window [300, 200] must rise: its first step comes before its last",
        "x.yaml:27: schedule: found nothing (null), expected a section, that is keys and values below it. "
        "Leave the key out to have every default",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("train: {steps: 250}", "x.yaml: rule.window [200, 300] ends after the run's last step: train.steps is 250"),
        ("data:\n  source: market1501", "x.yaml:1: data: source market1501 needs root"),
        ("zz: 1", "x.yaml:1: zz: unknown key. The keys here: name, seed, device, data,"),
        ("train: {grad_clip: 1}", "x.yaml:1: train.grad_clip: unknown key. Did you mean clip?"),
        ("1: 2", "x.yaml:1: 1: unknown key."),
        ("data: {<<: {height: 3}}", "x.yaml:1: data.<<: merge keys are not read here"),
        ("- a\n- b", "x.yaml: the file is a list, expected sections"),
        ("word", "x.yaml: the file is a single value, expected sections"),
        ("a: 1: 2", "x.yaml:1: not valid YAML: mapping values are not allowed here"),
        (b"a: 1\nb: \xe9\n", "x.yaml:2: not UTF-8 text: byte 0xe9"),
        ('name: "\\ud800"', 'x.yaml:1: name: found "\\ud800", expected text without surrogates'),
        ('data: {root: "a\\0b"}', "x.yaml:1: data.root: 'a\\x00b' is no path"),
        (f"seed: 1{'0' * 400}", "x.yaml:1: seed: found a very large number, expected less than 4294967296"),
    ],
)
def test_one_problem(tmp_path: Path, text: str | bytes, problem: str) -> None:
    first, *_ = problems(tmp_path, text)
    assert first.startswith(problem)


def test_a_file_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").touch()
    with pytest.raises(ConfigError, match=r"dmeo.yaml: no such file. Did you mean .*/demo.yaml\?"):
        load_config(tmp_path / "dmeo.yaml")
    with pytest.raises(ConfigError, match=r"no such file\. Nor is there a folder"):
        load_config(tmp_path / "no" / "x.yaml")
    with pytest.raises(ConfigError, match=r"this is a folder, not a YAML file. Did you mean .*/demo.yaml\?"):
        load_config(tmp_path)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    with pytest.raises(ConfigError, match=r"loop\.yaml: cannot be read: Too many levels"):
        load_config(tmp_path / "loop.yaml")


def message_or_none(folder: Path, text: str | bytes) -> str | None:
    try:
        load(folder, text)
    except ConfigError as error:
        return str(error)
    return None


KEYS = sorted({key for keys in sections().values() for key in keys} | {"lr ", "zz", "<<"})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["adamw", "pk", "", "1e5", "("]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text() | st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5).map(yaml.safe_dump))
def test_any_file_is_a_config_or_a_config_error(tmp_path: Path, text: str) -> None:
    assert message_or_none(tmp_path, text) != ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary())
def test_any_bytes_are_a_config_or_a_config_error(tmp_path: Path, content: bytes) -> None:
    assert message_or_none(tmp_path, content) != ""


def test_without_a_file_it_is_the_demo() -> None:
    assert load_config(None) == load_config(Path(__file__).parents[2] / "configs" / "demo.yaml")
