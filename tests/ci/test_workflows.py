"""The files for CI: each keeps to its schema, and each shell line in them does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.test_run import AFRESH, QUICK, sets

REPOSITORY = Path(__file__).resolve().parents[2]
ACTION = REPOSITORY / ".github" / "actions" / "reid-smoke" / "action.yml"
GITLAB = REPOSITORY / ".gitlab" / "reid-smoke.yml"
SLURM = REPOSITORY / "scripts" / "slurm_run"
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("path", "options"),
    [
        *((path, ["--builtin-schema", "vendor.github-workflows"]) for path in WORKFLOWS),
        (ACTION, ["--builtin-schema", "vendor.github-actions"]),
        (GITLAB, ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_it_keeps_to_its_schema(path: Path, options: list[str]) -> None:
    from check_jsonschema import main

    with pytest.raises(SystemExit) as ended:
        main([*options, str(path)])
    assert ended.value.code == 0


def shell_lines() -> dict[str, str]:
    found = {f"action, {step['name']}": step["run"] for step in read(ACTION)["runs"]["steps"] if "run" in step}
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            found |= {f"{path.name} {name} {i}": step["run"] for i, step in enumerate(job["steps"]) if "run" in step}
    for part in ("before_script", "script"):
        found |= {f"gitlab {part} {i}": line for i, line in enumerate(read(GITLAB)[".reid-smoke"][part])}
    return found | {"slurm": SLURM.read_text()}


@pytest.mark.parametrize("lines", [pytest.param(lines, id=name) for name, lines in shell_lines().items()])
def test_the_shell_reads_it_and_nothing_is_pasted_into_it(lines: str) -> None:
    checked = subprocess.run(["bash", "-n"], input=lines, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "${{" not in lines  # an input is data: it comes by the environment, where no shell reads it as a command


def test_what_a_workflow_uses_is_there() -> None:
    used = [step["uses"] for path in WORKFLOWS for job in read(path)["jobs"].values() for step in job["steps"]
            if "uses" in step]  # fmt: skip
    assert used
    for uses in used:
        assert (REPOSITORY / uses / "action.yml").is_file() if uses.startswith("./") else re.search(r"@v\d+$", uses)
    inputs = read(ACTION)["inputs"]
    given = [step.get("with", {}) for step in read(REPOSITORY / ".github/workflows/gpu.yml")["jobs"]["smoke"]["steps"]]
    assert {name for names in given for name in names} <= set(inputs)


def test_every_input_is_used_and_every_use_is_an_input() -> None:
    text = ACTION.read_text()
    assert set(re.findall(r"inputs\.([a-z-]+)", text)) == set(read(ACTION)["inputs"])


# --- run for real ---


def shell(here: Path, lines: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-c", lines], cwd=here, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHON": sys.executable, **environment},
    )  # fmt: skip


def action_step(here: Path, name: str, **inputs: str) -> tuple[int, str, str]:
    """Run a step of the action: its exit code, and what it wrote to GitHub's two files."""
    step = next(step for step in read(ACTION)["runs"]["steps"] if step["name"] == name)
    output, summary = here / "output", here / "summary"
    values = {key: str(value.get("default", "")) for key, value in read(ACTION)["inputs"].items()} | inputs
    given = {key: values[re.sub(r"\W|inputs", "", value)] for key, value in step["env"].items()}
    given |= {"PYTHON": sys.executable, "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
    ended = shell(here, step["run"], **given)
    assert "command not found" not in ended.stderr
    return ended.returncode, *(path.read_text() if path.exists() else "" for path in (output, summary))


def tiny(here: Path) -> str:
    (here / "config.yaml").write_text("name: tiny\n")
    return " ".join(sets(*QUICK, AFRESH))


def test_the_action_runs_reports_and_ends_with_the_verdict(tmp_path: Path) -> None:
    inputs = {"config": "config.yaml", "arguments": tiny(tmp_path)}
    code, output, _ = action_step(tmp_path, "Smoke run", **inputs)
    assert output.splitlines() == ["verdict=NO-GO", "exit-code=1"]
    assert code == 1
    code, _, summary = action_step(tmp_path, "Job summary", **inputs)
    assert code == 0
    assert "NO-GO  reid-smoke run config.yaml" in summary
    (tmp_path / "reid-smoke-run" / "summary.md").write_text("# written by the report\n")
    _, _, summary = action_step(tmp_path, "Job summary", **inputs)
    assert summary.endswith("```\n# written by the report\n")


def test_the_action_with_a_config_that_is_none(tmp_path: Path) -> None:
    no_config(tmp_path)
    code, output, _ = action_step(tmp_path, "Smoke run", config="config.yaml")
    assert (code, output.splitlines()) == (2, ["verdict=", "exit-code=2"])
    assert action_step(tmp_path, "Job summary", config="config.yaml")[0] == 0


def no_config(here: Path) -> str:
    """Refused before torch is imported: the way there and back is the same as with one that is trained."""
    (here / "config.yaml").write_text("nmae: tiny\n")
    return "nmae: unknown key"


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_gitlab_job_ends_with_the_exit_code(tmp_path: Path, processes: str) -> None:
    job, says = read(GITLAB)[".reid-smoke"], no_config(tmp_path)
    given = job["variables"] | {"REID_SMOKE_PROCESSES": processes, "REID_SMOKE_PYTHON": sys.executable}
    ended = shell(tmp_path, "\n".join([*job["before_script"], *job["script"]]), **given)
    assert ended.returncode == 2, ended.stderr
    assert says in ended.stderr


def test_the_slurm_job_ends_with_the_exit_code(tmp_path: Path) -> None:
    """Slurm's own two commands are stood in for; torchrun is real."""
    commands, says = tmp_path / "bin", no_config(tmp_path)
    commands.mkdir()
    for name, does in (("srun", 'shift\nexec "$@"'), ("scontrol", "echo localhost")):
        (commands / name).write_text(f"#!/bin/sh\n{does}\n")
        (commands / name).chmod(0o755)
    slurm = {"SLURM_JOB_ID": "9641", "SLURM_JOB_NODELIST": "localhost", "SLURM_JOB_NUM_NODES": "1"}
    path = f"{commands}:{os.environ['PATH']}"
    ended = shell(tmp_path, f"{SLURM} config.yaml --set seed=1", PATH=path, **slurm)
    assert ended.returncode == 2, ended.stderr
    assert says in ended.stderr
