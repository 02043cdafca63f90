"""The lower bounds from which `make test-minimum` builds its environment."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.packaging.lower_bounds import PYPROJECT, lower_bounds


def test_each_bound_becomes_a_pin() -> None:
    assert lower_bounds(["numpy>=1.26.4", "rich>=13"]) == ["numpy==1.26.4", "rich==13"]


@pytest.mark.parametrize("requirement", ["numpy", "numpy>1", "numpy>=1,<3", "numpy==1.26"])
def test_requirements_without_a_plain_bound_are_refused(requirement: str) -> None:
    with pytest.raises(ValueError, match="no plain lower bound"):
        lower_bounds([requirement])


def test_the_script_lists_every_dependency() -> None:
    script = Path(__file__).with_name("lower_bounds.py")
    printed = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    dependencies = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["dependencies"]
    names = [re.split(r"[^\w-]", line)[0] for line in printed.splitlines()]
    assert names == [re.split(r"[^\w-]", entry)[0] for entry in dependencies]
