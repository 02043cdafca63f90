"""Users copy the configuration files of examples/check, so these must be correct."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import yaml

from snstat.checks.config import find_config, load_config
from snstat.experiment.plan import Plan

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "check"
OFFERED = ROOT / ".pre-commit-hooks.yaml"


def test_the_example_is_found_and_every_stack_is_sound():
    path = find_config(FOLDER)
    assert path == FOLDER / "snstat.toml"
    checks = load_config(path)
    assert [check.name for check in checks] == ["signal", "gradients", "cosine"]
    lines = path.read_text(encoding="utf-8").splitlines()
    names = inspect.signature(Plan.build).parameters
    for check in checks:
        assert lines[check.source.line - 1] == f"[check.{check.name}]"
        Plan.build(**{key: value for key, value in check.options.items() if key in names})


def parsed(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_the_workflow_installs_snstat_and_runs_it_in_the_folder_of_the_example():
    workflow = parsed(FOLDER / "github-workflow.yml")
    # YAML 1.1 reads the word "on" as true; GitHub does not use YAML 1.1.
    assert workflow[True] == ["push", "pull_request"]
    [job] = workflow["jobs"].values()
    assert (job["runs-on"], job["env"]) == ("ubuntu-latest", {"SNSTAT": "."})
    checkout, python, install, check = job["steps"]
    assert checkout == {"uses": "actions/checkout@v4"}
    assert python == {"uses": "actions/setup-python@v5", "with": {"python-version": "3.12"}}
    assert install["run"] == 'python -m pip install "$SNSTAT"'
    assert check["run"] == "snstat check --format github"
    assert (ROOT / check["working-directory"]).samefile(FOLDER)


@pytest.mark.parametrize("offered", [True, False])
def test_hooks_run_when_a_configuration_changes(offered):
    if offered:
        [hook] = parsed(OFFERED)
    else:
        [repository] = parsed(FOLDER / "pre-commit-config.yaml")["repos"]
        [hook] = repository["hooks"]
    assert {"id", "name", "entry", "language"} <= hook.keys()
    assert (hook["entry"], hook["pass_filenames"]) == ("snstat check", False)
    pattern = hook["files"]
    for name in ("pyproject.toml", "snstat.toml", "a/b/snstat.toml"):
        assert re.search(pattern, name)
    for name in ("my-snstat.toml", "snstat.toml.bak", "a/pyproject_toml", "snstat.py"):
        assert not re.search(pattern, name)
