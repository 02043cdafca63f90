"""The plugin of pytest: the fixture and the marker `snstat`, and `--snstat-update`.

pytest finds it where snstat is installed. Nothing but this file is imported until a test uses the
fixture.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snstat.results import Check

BASELINES = "snstat_baselines"
UPDATE = "--snstat-update"
MARKER = "snstat(**options): options of all checks that the fixture `snstat` makes in this test"
# Of a name; others are not in names of files everywhere.
NOT_IN_FILES = re.compile(r"[^\w.=\[\]-]+")
# The rule that compares with a baseline.
DRIFT = "SN701"
# Options of a comparison.
COMPARING = ("select", "ignore", "same_seed")
# File of a baseline -> the test that it belongs to.
OWNERS = pytest.StashKey[dict[Path, str]]()


class Networks:
    """The fixture `snstat`: checks with the options of the markers of one test.

    Options of a call go before those of its markers, and these before those of its class and
    module.
    """

    def __init__(self, node: pytest.Item) -> None:
        self._node = node
        self._options: dict[str, Any] = {}
        self._names: set[str] = set()
        for marker in reversed(list(node.iter_markers("snstat"))):
            if marker.args:
                given = ", ".join(map(repr, marker.args))
                pytest.fail(
                    f"the marker snstat takes options only, not {given}; write snstat(width=512)",
                    pytrace=False,
                )
            self._options |= marker.kwargs

    def __call__(self, activation: Any = None, depth: int | None = None, **options: Any) -> Check:
        """Fail the test, in the words of `snstat check`, unless a network passes its check.

        The arguments are those of `snstat.check`. Returns the check that passed.
        """
        __tracebackhide__ = True
        from snstat.testing import assert_propagates

        return assert_propagates(activation, depth, **self._options | options)

    def check(self, activation: Any = None, depth: int | None = None, **options: Any) -> Check:
        """Return the check of a network, whether it passed or not."""
        from snstat.checks.check import check

        return check(activation, depth, **self._options | options)

    def unchanged(
        self,
        activation: Any = None,
        depth: int | None = None,
        *,
        name: str = "",
        **options: Any,
    ) -> Check:
        """Fail the test if a network differs from its baseline beyond chance (rule SN701).

        The baseline is in the folder snstat_baselines beside the test, in a file with the names of
        its module, the test, and `name`, for tests with several baselines. `pytest
        --snstat-update` writes it. SN701 is judged whatever `select` and `ignore` are, and other
        rules only if `select` names them. A `baseline` of a marker is for other checks.
        """
        __tracebackhide__ = True
        if "baseline" in options:
            pytest.fail(
                f"unchanged takes no baseline, not {options['baseline']!r}, because it has its own;"
                " write snstat(..., baseline=FILE)",
                pytrace=False,
            )
        path = self._baseline(name)
        settings = self._options | options
        settings.pop("baseline", None)
        settings |= _rules(settings.get("select", ()), settings.get("ignore", ()))
        if self._node.config.getoption(UPDATE):
            return _write(path, activation, depth, settings)
        if not path.exists():
            pytest.fail(
                f"there is no baseline {path}; write it with: pytest {UPDATE}", pytrace=False
            )
        return self(activation, depth, **settings, baseline=path)

    def _baseline(self, name: str) -> Path:
        node = self._node
        if name in self._names:
            pytest.fail(f"this test has two baselines called {name!r}; give each a name of its own")
        self._names.add(name)
        words = [node.path.stem, *node.nodeid.split("::")[1:], *filter(None, [name])]
        path = node.path.parent / BASELINES / (NOT_IN_FILES.sub("-", ".".join(words)) + ".json")
        owner = node.config.stash[OWNERS].setdefault(path, node.nodeid)
        if owner != node.nodeid:
            pytest.fail(f"{path} is the baseline of {owner}; give this test another name")
        return path


def _rules(select: str | Iterable[str], ignore: str | Iterable[str]) -> dict[str, Any]:
    """Return options that select and ignore the same rules, except that SN701 is selected."""
    from snstat.checks.rules import choose, pages

    selected, ignored = ([own] if isinstance(own, str) else list(own) for own in (select, ignore))
    left = choose(ignore=ignored, among=pages())
    return {"select": [DRIFT, *selected], "ignore": sorted(pages().keys() - left - {DRIFT})}


def _write(path: Path, activation: Any, depth: int | None, settings: dict[str, Any]) -> Check:
    from snstat.checks.check import judged
    from snstat.files.saved import save

    # What only compares has no meaning yet.
    settings = {key: value for key, value in settings.items() if key not in COMPARING}
    run, found = judged(activation, depth, **settings)
    path.parent.mkdir(exist_ok=True)
    save(run, path)
    return found


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare --snstat-update."""
    parser.getgroup("snstat").addoption(
        UPDATE,
        action="store_true",
        help=f"write the baselines of the tests that run, in {BASELINES}, and compare nothing",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", MARKER)
    config.stash[OWNERS] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Raise UsageError for a test with a marker that would do nothing."""
    for item in items:
        marked = any(marker.name == "snstat" for marker in item.own_markers)
        if marked and "snstat" not in getattr(item, "fixturenames", ()):
            raise pytest.UsageError(
                f"{item.nodeid} has the marker snstat, but not the fixture: add the argument snstat"
            )


@pytest.fixture
def snstat(request: pytest.FixtureRequest) -> Networks:
    """Check networks: `snstat("selu", 64)` fails the test unless they pass; `snstat.unchanged`
    compares with a baseline, and `snstat.check` returns the judgement."""
    return Networks(request.node)
