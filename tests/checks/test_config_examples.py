"""The configuration files of examples/check are what users copy: they must be right."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from snstat.checks.config import find_config, load_config
from snstat.plan import Plan

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "check"
HOOKS = [ROOT / ".pre-commit-hooks.yaml", FOLDER / "pre-commit-config.yaml"]


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


def test_the_workflow_runs_where_the_example_is():
    text = (FOLDER / "github-workflow.yml").read_text(encoding="utf-8")
    assert "run: snstat check --format github\n" in text
    assert f"working-directory: {FOLDER.relative_to(ROOT).as_posix()}\n" in text


@pytest.mark.parametrize("path", HOOKS, ids=lambda path: path.name)
def test_hooks_run_when_a_configuration_changes(path):
    text = path.read_text(encoding="utf-8")
    assert re.search(r"^ +entry: snstat check$", text, re.MULTILINE)
    assert re.search(r"^ +pass_filenames: false$", text, re.MULTILINE)
    [pattern] = re.findall(r"^ +files: (.*)$", text, re.MULTILINE)
    for name in ("pyproject.toml", "snstat.toml", "a/b/snstat.toml"):
        assert re.search(pattern, name)
    for name in ("my-snstat.toml", "snstat.toml.bak", "a/pyproject_toml", "snstat.py"):
        assert not re.search(pattern, name)
