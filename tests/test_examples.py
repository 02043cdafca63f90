"""Every example runs unchanged in an empty folder and prints its answer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.examples

EXAMPLES = Path(__file__).parents[1] / "examples"
# Text that the answer of each example must contain; a new example needs an entry.
ANSWERS = {
    "figure2.py": ("figure2.png: fixed point at mean 0.0000, variance 1.0000",),
    "selu_with_torch_init.py": ("No: after 32 layers",),
    "side_by_side.sh": ("Drawn: side_by_side.png",),
    "width_for_theory.py": ("predicted variance from width",),
}
PICTURES = {"figure2.py": ("figure2.png",), "side_by_side.sh": ("side_by_side.png",)}


def test_every_example_has_an_expected_answer():
    assert sorted(
        path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".sh"}
    ) == sorted(ANSWERS)


@pytest.mark.parametrize("name", ANSWERS)
def test_example(name, tmp_path):
    path = EXAMPLES / name
    programs = Path(sys.executable).parent
    command = (
        [sys.executable, "-W", "error", str(path)] if path.suffix == ".py" else ["sh", str(path)]
    )
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    for answer in ANSWERS[name]:
        assert answer in result.stdout
    for picture in PICTURES.get(name, ()):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


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
