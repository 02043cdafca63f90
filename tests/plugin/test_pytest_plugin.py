"""The plugin of pytest, in sessions of its own."""

from __future__ import annotations

import json
import re

import pytest

import snstat

pytest_plugins = ("pytester",)

# Small networks, whose checks take a moment.
SMALL = "width=64, batch=8, trials=8"
USES = f"""
import pytest

pytestmark = pytest.mark.snstat({SMALL})

def test_passes(snstat):
    found = snstat("selu", 8)
    assert found.passed
    assert found.stack.width == 64
    assert found.simulation.batch == 8

@pytest.mark.snstat(width=32)
class TestOfAClass:
    def test_the_nearest_options_count(self, snstat):
        assert snstat("selu", 4).stack.width == 32
        assert snstat("selu", 4, width=16).stack.width == 16

@pytest.mark.snstat(select=("SN101",), weight_gain=0.3)
def test_fails(snstat):
    snstat("selu", 8)

def test_judges(snstat):
    assert not snstat.check("selu", 8, weight_gain=0.3).passed
"""
UNCHANGED = f"""
import os
import pytest

@pytest.mark.parametrize("depth", [2, 4])
@pytest.mark.snstat({SMALL})
def test_kept(snstat, depth):
    snstat.unchanged("relu", depth, weight_gain=float(os.environ["GAIN"]))
    snstat.unchanged("tanh", depth, name="tanh")
"""
SAME_FILE = """
import pytest

@pytest.mark.parametrize("a", ["x/y", "x-y"])
def test_a(snstat, a):
    snstat.unchanged(width=8, depth=1)
"""


@pytest.fixture(scope="module", autouse=True)
def _loaded(tmp_path_factory):
    """Import what sessions need: each forgets what it imports, and numpy refuses to load twice."""
    file = tmp_path_factory.mktemp("runs") / "run.json"
    snstat.save(snstat.propagate("relu", 2, width=8, batch=4, trials=2), file)
    snstat.testing.assert_propagates("relu", 2, width=8, trials=2, baseline=file, select=("SN701",))
    with pytest.raises(AssertionError):
        snstat.testing.assert_propagates("selu", 8, width=64, trials=2, weight_gain=0.3)


@pytest.fixture
def session(pytester, monkeypatch):
    """Return a function that runs pytest on files, by their names, in a folder of its own."""
    # The plugin is loaded by name, whether or not this checkout is installed with its entry point.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("COLUMNS", "100")

    def run(*options, apart=False, **files):
        if files:
            pytester.makepyfile(**files)
        start = pytester.runpytest_subprocess if apart else pytester.runpytest_inprocess
        settings = ("--strict-markers", "-p", "no:cacheprovider", "-W", "error")
        result = start("-p", "snstat.pytest_plugin", *settings, *options)
        return result.ret, str(result.stdout) + str(result.stderr)

    return run


def test_fixture_and_marker(session):
    _, text = session(test_uses=USES)
    assert "1 failed, 3 passed" in text
    assert "SN101 signal-vanishes" in text
    assert "use --weight-gain 1" in text
    # The frames of snstat are hidden: the last one is the line of the test.
    assert "assert_propagates(" not in text


def test_baselines_are_written_and_compared(session, pytester, monkeypatch):
    monkeypatch.setenv("GAIN", "1.4142")
    code, text = session(test_kept=UNCHANGED)
    assert code == 1
    assert "there is no baseline" in text
    assert "write it with: pytest --snstat-update" in text
    assert session("--snstat-update")[0] == 0
    folder = pytester.path / "snstat_baselines"
    files = sorted(path.name for path in folder.iterdir())
    assert files == [
        "test_kept.test_kept[2].json",
        "test_kept.test_kept[2].tanh.json",
        "test_kept.test_kept[4].json",
        "test_kept.test_kept[4].tanh.json",
    ]
    (run,) = json.loads((folder / files[2]).read_text("utf-8"))["runs"]
    assert (run["stack"]["depth"], run["stack"]["width"]) == (4, 64)
    assert session()[0] == 0
    monkeypatch.setenv("GAIN", "0.9")
    code, text = session()
    assert code == 1
    assert "2 failed" in text
    assert "SN701 baseline-drift" in text


@pytest.mark.parametrize(
    "options",
    [
        "select=('SN101',)",
        "select='SN101'",
        "ignore=('SN7',)",
        "ignore='baseline-drift'",
        "select='SN701', ignore='SN701'",
        "baseline='none.json'",
    ],
)
def test_the_baseline_is_compared_whatever_a_marker_selects(session, monkeypatch, options):
    text = UNCHANGED.replace(SMALL, f"{SMALL}, {options}")
    monkeypatch.setenv("GAIN", "1.4142")
    assert session("--snstat-update", test_kept=text)[0] == 0
    code, told = session()
    assert code == 0, told
    monkeypatch.setenv("GAIN", "1.2")
    # The summary repeats whole messages on some machines.
    assert len(re.findall("^E +SN701 baseline-drift", session()[1], re.MULTILINE)) == 2


def test_unchanged_judges_the_rules_that_are_selected_and_no_others(session):
    text = f"""
        import pytest

        @pytest.mark.parametrize("options", [{{}}, {{"select": "SN1"}}, {{"select": ("SN2",)}}])
        def test_quiet(snstat, options):
            snstat.unchanged("relu", 8, {SMALL}, weight_gain=0.3, **options)

        @pytest.mark.snstat(select=("SN1",), ignore=("SN701", "SN101"))
        def test_ignored(snstat):
            snstat.unchanged("relu", 8, {SMALL}, weight_gain=0.3)
    """
    assert session("--snstat-update", test_a=text)[0] == 0
    told = session()[1]
    assert "2 failed, 2 passed" in told
    assert "SN101 signal-vanishes" in told
    assert "SN201 gradient-vanishing" in told
    assert "SN701" not in told


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "import pytest\n@pytest.mark.snstat(width=8)\ndef test_a(): ...",
            "test_a.py::test_a has the marker snstat, but not the fixture",
        ),
        (
            "import pytest\n@pytest.mark.snstat('selu')\ndef test_a(snstat): ...",
            "the marker snstat takes options only, not 'selu'; write snstat(width=512)",
        ),
        (
            "def test_a(snstat):\n    snstat('selu', 2, widht=8)",
            "did you mean 'width'?",
        ),
        (
            "def test_a(snstat):\n    for _ in 'ab':\n        snstat.unchanged(width=8, depth=1)",
            "this test has two baselines called ''",
        ),
        (
            "def test_a(snstat):\n    snstat.unchanged(width=8, depth=1, baseline='a.json')",
            "unchanged takes no baseline, not 'a.json', because it has its own; write snstat(",
        ),
        (
            SAME_FILE,
            "is the baseline of test_a.py::test_a[x/y]; give this test another name",
        ),
    ],
)
def test_mistakes_are_named(session, text, complaint):
    code, told = session("--snstat-update", test_a=text)
    assert code != 0
    assert complaint in " ".join(told.split())


def test_the_plugin_loads_nothing_before_it_is_used(session):
    text = (
        "import sys\n"
        "def test_a():\n"
        "    heavy = {'numpy', 'numba', 'scipy', 'matplotlib', 'rich', 'click', 'snstat.checks'}\n"
        "    assert heavy & set(sys.modules) == set()\n"
    )
    code, told = session(apart=True, test_a=text)
    assert code == 0, told


def test_pytest_lists_the_fixture_the_marker_and_the_option(session):
    assert "@pytest.mark.snstat(**options)" in session("--markers")[1]
    assert "--snstat-update" in session("--help")[1]
    assert "snstat -- " in session("--fixtures", test_a="")[1]
