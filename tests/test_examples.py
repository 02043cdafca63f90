"""Every example runs unchanged in an empty folder and prints its answer.

Those that need PyTorch run in tests/peers/test_examples.py.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.docs_blocks import words
from tests.examples import ANSWERS, EXAMPLES, TORCH_ANSWERS, assert_answers
from tests.notebooks import NOTEBOOKS, executed, outputs, read

pytestmark = pytest.mark.examples


def test_every_example_has_an_expected_answer():
    assert sorted(
        path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".sh"}
    ) == sorted(ANSWERS | TORCH_ANSWERS)


@pytest.mark.parametrize("name", ANSWERS)
def test_example(name, tmp_path):
    assert_answers(name, tmp_path)


def test_the_checks_of_the_examples_pass(tmp_path):
    """Run them as in the workflow, in the hook and in a pytest test."""
    shutil.copytree(EXAMPLES / "check", tmp_path / "check")
    workflow = yaml.safe_load((EXAMPLES / "check" / "github-workflow.yml").read_text("utf-8"))
    (hook,) = yaml.safe_load((EXAMPLES.parent / ".pre-commit-hooks.yaml").read_text("utf-8"))
    for command in (
        workflow["jobs"]["check"]["steps"][-1]["run"].split(),
        hook["entry"].split(),
        ["pytest", "-q", "test_signal.py"],
    ):
        result = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path / "check",
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run_and_hold_their_outputs(path):
    held = outputs(read(path))
    assert {kind for kind, _ in held} == {"picture", "text"}
    found = outputs(executed(path))
    assert [(kind, words(text)) for kind, text in found] == [
        (kind, words(text)) for kind, text in held
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_hold_nothing_of_a_machine(path):
    notebook = json.loads(path.read_text("utf-8"))
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert [cell["metadata"] for cell in notebook["cells"] if cell["metadata"]] == []
    text = path.read_text("utf-8")
    assert [place for place in (str(Path.home()), str(EXAMPLES)) if place in text] == []
