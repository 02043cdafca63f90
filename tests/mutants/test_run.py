"""The choice of tests for a mutant, and the page about all mutants."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.mutants import page as pages
from tests.mutants import run
from tests.mutants.page import Mutant, report
from tests.mutants.run import MOST_SECONDS, choose, inside_functions, meaning

RECORD = {
    "seconds": {"a": 0.5, "b": 0.1, "c": MOST_SECONDS, "d": 0.2},
    "lines": {"f.py": {"1": [], "2": ["", "a", "b"], "3": ["c"], "4": ["d"]}},
    "tests": {"f.py": {"", "a", "b", "c", "d"}},
}


def mutant(line=2, file="snstat/theory/maps.py", before="a + b"):
    return Mutant(file, line, before, "a - b")


def test_the_tests_of_a_line_are_run_fastest_first():
    assert choose(mutant(2, "f.py"), RECORD)[0] == ["b", "a"]
    # A line that is executed on import has the tests of the whole file, as many as there is time.
    assert choose(mutant(1, "f.py"), RECORD)[0] == ["b", "d", "a"]
    assert choose(mutant(1, "other.py"), RECORD)[0] == []


def test_lines_of_functions_are_those_of_their_bodies():
    source = "@cache\ndef f(\n    x=1,\n):\n    y = x\n    return y\n\nz = f()\n"
    assert inside_functions(source) == {5, 6}


def test_types_do_not_change_the_meaning():
    source = "def f(x: int | None) -> int:\n    y: int = x + 1\n    return y\n"
    assert meaning(source) == meaning(source.replace("int | None", "int & None"))
    assert meaning(source) != meaning(source.replace("x + 1", "x - 1"))
    named = "def f(a, *, b, c=2): return a\n"
    assert meaning(named) == meaning(named.replace("*", "/"))
    assert meaning(named) != meaning(named.replace("2", "3"))


def test_the_page_counts_and_lists(tmp_path, monkeypatch):
    known = tmp_path / "equivalent.toml"
    known.write_text(
        '[[mutant]]\nfile = "snstat/theory/maps.py"\nbefore = "x"\nafter = "a - b"\n'
        'why = "b is 0"\n'
    )
    monkeypatch.setattr(pages, "EQUIVALENT", known)
    verdicts = [
        (mutant(), "killed"),
        (mutant(), "timed out"),
        (mutant(7), "survived"),
        (mutant(9, before="x"), "survived"),
        (mutant(1, "snstat/checks/case.py"), "killed"),
    ]
    results = [{"mutant": asdict(entry), "verdict": verdict} for entry, verdict in verdicts]
    report(results, 3, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "5 mutants, seed 3" in page
    assert all(f"`{room}`" in page and f"| {room} |" in page for room in pages.MUTATED)
    assert "| theory | 4 | 1 | 1 | 1 | 1 | 67% |" in page
    assert "| all | 5 | 2 | 1 | 1 | 1 | 75% |" in page
    assert "- `snstat/theory/maps.py:7`: `a + b` → `a - b`\n" in page
    assert "`snstat/theory/maps.py:9`: `x` → `a - b`: b is 0" in page


def test_what_means_the_same_survives_without_tests(monkeypatch, tmp_path):
    path = tmp_path / "equivalent.toml"
    path.write_text(
        '[[mutant]]\nfile = "f.py"\nbefore = "a + b"\nafter = "a - b"\nwhy = "b is 0"\n', "utf-8"
    )
    monkeypatch.setattr(pages, "EQUIVALENT", path)
    monkeypatch.setattr(run, "run_tests", lambda *_: pytest.fail("tests were run"))
    assert run.judge(mutant(2, "f.py"), "a + b", "a - b", RECORD) == "survived"


def test_mutants_of_equal_meaning_are_of_lines_that_are_there():
    for entry in tomllib.loads(pages.EQUIVALENT.read_text(encoding="utf-8"))["mutant"]:
        lines = {line.strip() for line in Path(entry["file"]).read_text("utf-8").splitlines()}
        before = entry["before"]  # " / " stands between lines, and for a division
        assert before in lines or set(before.split(" / ")) <= lines, entry
