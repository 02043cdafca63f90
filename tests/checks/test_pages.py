"""The page of every rule is its docstring: complete, true of the options, and written once."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import ClassVar

import click
import pytest

from snstat.checks.baseline import FALSE_ALARM
from snstat.checks.bounds import MAX_FLUCTUATION, Bounds
from snstat.checks.chance import FALSE_ALARM as MISMATCH
from snstat.checks.numbers import FORMATS
from snstat.checks.rules import CODES, RULES, catalogue, explanation, pages
from snstat.checks.settings import OPTIONS
from snstat.checks.theorems import THEOREM_1
from snstat.cli import group
from snstat.layers.initialisers import TRUNCATED_STD
from snstat.network.run_settings import RunSettings
from snstat.results import VERDICTS
from tests.checks.cases import DROPPED, JUDGEMENTS, RING, STREAM, case, network_case
from tests.docs_blocks import blocks
from tests.rule_pages import rules_page

CHECKOUT = Path(__file__).parents[2]
SECTIONS = [
    "What it does",
    "Why it matters",
    "What is compared",
    "Example",
    "How to fix it",
    "Options",
    "Known problems",
    "Source",
]
HEADING = re.compile(r"^\*\*(.+?)\.\*\* ?", re.MULTILINE)
FLAG = re.compile(r"(?<![\w-])--([a-z][a-z-]*)")
# "`--cosine-max` (default 0.98)" or "`--depth-limit` (default: the depth)"
DEFAULT = re.compile(r"`--([a-z-]+)` \(default:? ([^)]+)\)")

PAGES = pages()
every_rule = pytest.mark.parametrize("code", PAGES)


def sections(code):
    """Return the text of each section of a page by its heading."""
    _, *parts = HEADING.split(PAGES[code].text)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def prose(text):
    """Return text on one line, without its blocks."""
    for block in blocks(text):
        text = text.replace(block.text, "")
    return " ".join(text.split())


def bounds_in(text):
    """Return the bounds among the options whose defaults a text states."""
    stated = {flag.replace("-", "_") for flag, _ in DEFAULT.findall(prose(text))}
    return stated & {entry.name for entry in fields(Bounds)}


@every_rule
def test_a_page_has_every_section_in_order(code):
    assert list(sections(code)) == SECTIONS
    assert all(text.strip() for text in sections(code).values())
    assert explanation(code).startswith(f"# {code} {PAGES[code].name}\n\n")
    assert explanation(PAGES[code].name) == explanation(code)


def test_the_first_sentence_of_a_page_is_its_entry_in_the_list():
    for code, _, summary in catalogue():
        first, blank, _ = PAGES[code].text.split("\n", 2)
        assert first.lower() == f"{summary}.".lower()
        assert blank == ""
        assert summary[0].islower() or summary.startswith("SELU")
        assert summary.isprintable()
    assert {rule.verdict for rule in RULES.values()} - {None} <= set(VERDICTS)


def flags_of(name):
    command = group.get_command(click.Context(group), name)
    return {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}


@every_rule
def test_options_of_a_page_exist(code):
    checked = flags_of("check")
    text = PAGES[code].text
    others = re.findall(r"snstat (fixedpoint|propagate|plot)\b([^`\n]*)", text)
    for command, arguments in others:
        used = {f"--{flag}" for flag in FLAG.findall(arguments)}
        assert used <= flags_of(command)
        text = text.replace(arguments, "") if arguments else text
    assert {f"--{flag}" for flag in FLAG.findall(text)} <= checked


@every_rule
def test_defaults_on_a_page_are_those_of_the_options(code):
    declared = {
        entry.name: entry.default
        for settings in (RunSettings, Bounds)
        for entry in fields(settings)
    }
    stated = DEFAULT.findall(prose(PAGES[code].text))
    for flag, words in stated:
        name = flag.replace("-", "_")
        default = declared[name]
        assert words == (
            OPTIONS[name].shown or f"{default:{'' if isinstance(default, str) else 'g'}}"
        )
    options = prose(sections(code)["Options"])
    assert options.startswith("None: ") or DEFAULT.sub("", options).strip(" ,.") == ""


def test_every_bound_is_on_the_page_of_a_rule():
    found = set().union(*(bounds_in(sections(code)["Options"]) for code in PAGES))
    assert found == {entry.name for entry in fields(Bounds)}


class Watched(Bounds):
    """Bounds that remember which of them were read."""

    __slots__ = ()
    read: ClassVar[set[str]] = set()

    def __getattribute__(self, name):
        Watched.read.add(name)
        return super().__getattribute__(name)


def reads(code):
    """Return which bounds a rule reads when it looks at many stacks and some networks."""
    found = set()
    stacks = [case(activation, depth, **options) for activation, depth, options, *_ in JUDGEMENTS]
    ring = network_case(RING, channels=4, grid=[4])
    for each in (*stacks, network_case(DROPPED), network_case(STREAM), ring):
        watched = replace(each, bounds=Watched())
        Watched.read.clear()  # they were validated
        RULES[code](watched)
        found |= Watched.read
    return found & {entry.name for entry in fields(Bounds)}


# Read with another bound: one end of a range, the second number of a target, the depth to which all
# theory goes on, and the share of dead networks from which a measured 0 counts.
ALSO_READ = {"second_moment_min", "second_moment_max", "target_variance", "depth_limit", "dead_max"}


@pytest.mark.parametrize("code", sorted(set(CODES) - {"SN501", "SN701"}))
def test_a_page_states_the_bounds_that_its_rule_reads(code):
    stated, read = bounds_in(sections(code)["Options"]), reads(code)
    assert stated - {"target_variance"} <= read
    assert read - ALSO_READ <= stated


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("SN001", f"float16: {FORMATS['float16'].largest:,.0f}"),
        *[
            ("SN001", f"{name}: {form.smallest:.1e}".replace("e-0", "e-"))
            for name, form in FORMATS.items()
        ],
        ("SN501", f"at most one of {1 / MISMATCH:.0f} checks"),
        ("SN502", f"at most {MAX_FLUCTUATION:g}"),
        ("SN601", f"{THEOREM_1[0]:g} to {THEOREM_1[1]:g}"),
        ("SN605", f"dividing by {TRUNCATED_STD:.8f}"),
        ("SN701", f"at most one of {1 / FALSE_ALARM:.0f} checks"),
    ],
)  # fmt: skip
def test_constants_on_a_page_are_those_of_its_rule(code, words):
    assert words in prose(PAGES[code].text)


@every_rule
def test_the_example_of_a_page_breaks_its_rule(code):
    """`make test-docs` runs the examples in docs/rules.md, which holds every page."""
    (block,) = blocks(PAGES[code].text)
    assert block.text in sections(code)["Example"]
    *_, last = re.findall(r"^\$ (.*)$", block.text, re.MULTILINE)
    assert re.fullmatch(f"snstat check .*--select {code}", last)
    assert f"\n  {code} {PAGES[code].name}" in block.text.partition(last)[2]
    # A terminal of 80 columns, with the margins of a block, wraps no line.
    assert max(map(len, block.text.splitlines())) <= 78


@every_rule
def test_a_page_has_a_source_that_exists(code):
    source = sections(code)["Source"]
    files = re.findall(r"\bdocs/[\w./-]+\.md", source)
    assert files or re.search(r"\barXiv:\d{4}\.\d{4,5}\b", source)
    assert len(re.findall("arXiv", source)) == len(re.findall(r"\barXiv:\d{4}\.\d{4,5}\b", source))
    assert all((CHECKOUT / file).is_file() for file in files)
    assert set(re.findall(r"SN\d+", PAGES[code].text)) <= set(PAGES)


def test_the_docs_hold_every_page():
    """`make outputs` writes them."""
    assert (CHECKOUT / "docs" / "rules.md").read_text("utf-8") == rules_page()


def test_no_sentence_of_a_page_is_kept_twice():
    other = " ".join((CHECKOUT / "docs" / "check.md").read_text("utf-8").split())
    for code in PAGES:
        sentences = re.split(r"(?<=[.:;]) ", prose(PAGES[code].text))
        assert [text for text in sentences if len(text) > 50 and text in other] == []


def test_without_docstrings_a_rule_says_why_it_has_no_page():
    python = [sys.executable, "-OO", "-m", "snstat", "check"]
    told = subprocess.run([*python, "--explain", "SN502"], capture_output=True, text=True)
    assert (told.returncode, told.stdout) == (2, "")
    (line,) = told.stderr.splitlines()
    assert "SN502 too-narrow has no page" in line
    assert "-OO" in line
    listed = subprocess.run([*python, "--list-rules"], capture_output=True, text=True)
    names = [tuple(line.split()) for line in listed.stdout.splitlines()]
    assert (listed.returncode, names) == (0, [(code, name) for code, name, _ in catalogue()])
