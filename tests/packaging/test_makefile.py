"""The targets of the Makefile that need no installation."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
MAKEFILE = (CHECKOUT / "Makefile").read_text("utf-8")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # An outer make must not pass on its own flags.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_help_lists_every_target() -> None:
    listed = {line.split()[0] for line in make("help").stdout.splitlines()}
    phony = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    assert listed == set(phony[1].replace("\\\n", " ").split())


@pytest.mark.parametrize("program", ["no-such-python", "old-python"])
def test_an_unsuitable_python_gives_one_line(program: str, tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.10.13\nexit 1\n', "utf-8")
    old.chmod(0o755)
    python = str(old) if program == "old-python" else program
    result = make("install", f"PYTHON={python}", f"VENV={tmp_path / 'environment'}")
    first, *rest = result.stderr.splitlines()
    assert first.startswith(f"snstat needs Python 3.11 or newer, but {python} is ")
    assert first.endswith("try: make PYTHON=python3.11")
    assert len(rest) == 1  # make's own "*** Error"
    assert result.returncode != 0
    assert not (tmp_path / "environment").exists()


def test_make_test_includes_all_but_large_downloads_and_long_runs() -> None:
    checks = set(re.findall(r"^(lint|types|test-[a-z]+):", MAKEFILE, re.MULTILINE))
    commands = make("--dry-run", "test").stdout
    assert "mkdocs build --strict" in commands
    (left_out,) = re.findall(
        r'-p tests\.executed.* -m "not \((peers or frameworks or bench)\)"', commands
    )
    outside = set()
    for target in checks:
        lines = make("--dry-run", target).stdout.replace("\\\n", " ").splitlines()
        # A mark's target runs a part of the last command, which runs all marks but three.
        marks = [re.search(r" pytest .*-m (\w+)", line) for line in lines]
        mark = next((found[1] for found in marks if found), None)
        if lines[-1] not in commands and mark not in {"packaging", "docs", "examples"}:
            outside.add(target)
        assert mark is None or (mark in left_out.split(" or ")) == (target in outside)
    assert outside == {
        "test-minimum", "test-peers", "test-frameworks", "test-laws", "test-kills", "test-random",
    }  # fmt: skip


def test_the_longest_tests_start_first(request: pytest.FixtureRequest) -> None:
    marks = [{mark.name for mark in item.iter_markers()} for item in request.session.items]
    last = [not own & {"docs", "packaging", "examples"} for own in marks]
    assert last == sorted(last)
