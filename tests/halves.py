"""The two halves of the suite, so that no check is made twice.

    NUMBA_DISABLE_JIT=1 python -m pytest -p tests.halves --kernel-free=FILE
    python -m pytest -p tests.halves --kernel-free=FILE

The first half runs every test with kernels as plain Python, and writes the names of the tests that
passed without a kernel. Compiled, these would do exactly the same, so the second half leaves them
out. The first half also measures coverage, which compiled kernels would not show: with
--coverage=FOLDER each process writes what its tests executed, for `slipcover --merge`.

A test that starts a process counts as one that runs kernels, and so does a test whose fixture
does either, whenever the fixture was set up. All options work with and without pytest-xdist.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numba
import pytest
import slipcover

# Lines and branches that no test needs to execute.
NOT_COUNTED = ["if TYPE_CHECKING:", "@overload", r"\.\.\.$"]

if numba.config.DISABLE_JIT:
    # Here, because conftest files import the package, and so in every worker of pytest-xdist. The
    # package is measured in the processes of pytest only, not in those that tests start.
    PACKAGE = [str(Path(__file__).parents[1] / "snstat")]
    MEASURED = slipcover.Slipcover(branch=True, source=PACKAGE, exclude_also=NOT_COUNTED)
    slipcover.ImportManager(MEASURED, slipcover.FileMatcher(PACKAGE)).__enter__()

# Audit events of a new process, whatever starts it.
STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kernel-free", type=Path, metavar="FILE", help="see tests/halves.py")
    parser.addoption("--coverage", type=Path, metavar="FOLDER", help="see tests/halves.py")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("kernel_free")
    if path is None:
        return
    half = Uncompiled(path) if numba.config.DISABLE_JIT else Compiled(path)
    config.pluginmanager.register(half)


def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = session.config.getoption("coverage")
    if folder is not None and numba.config.DISABLE_JIT:
        if hasattr(session.config, "workerinput"):
            MEASURED.source = None  # one process, the controlling one, reads what none imported
        folder.mkdir(parents=True, exist_ok=True)
        measured = json.dumps(MEASURED.get_coverage())
        (folder / f"{os.getpid()}.json").write_text(measured, "utf-8")


class Compiled:
    """Leave out the tests that passed without a kernel in the other half."""

    def __init__(self, path: Path) -> None:
        self.free = set(path.read_text("utf-8").splitlines())

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in self.free])
        items[:] = [item for item in items if item.nodeid not in self.free]


class Uncompiled:
    """Note which tests run kernels, and write the names of all others.

    With pytest-xdist, workers note and the process that controls them writes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ran = False  # a kernel or a process, since this was last set to False
        self.fixtures: set[Any] = set()  # those that ran one
        self.free: dict[str, bool] = {}
        self.watch_kernels()
        sys.addaudithook(self.watch_processes)

    def watch_kernels(self) -> None:
        """Without the JIT, njit returns the function itself, so that no kernel would be noted."""
        assert "snstat.engine.kernels.jit" not in sys.modules
        njit = numba.njit

        def watched(*arguments: Any, **options: Any) -> Any:
            if arguments and callable(arguments[0]):
                return self.watch(njit(*arguments, **options))
            decorate = njit(*arguments, **options)
            return lambda function: self.watch(decorate(function))

        numba.njit = watched

    def watch(self, kernel: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(kernel)
        def noted(*arguments: Any, **named: Any) -> Any:
            self.ran = True
            return kernel(*arguments, **named)

        return noted

    def watch_processes(self, event: str, _: object) -> None:
        if event in STARTS:
            self.ran = True

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        before, self.ran = self.ran, False
        result = yield
        if self.ran:
            self.fixtures.add(fixturedef)
        self.ran |= before
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, Any, Any]:
        self.ran = False
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: Any) -> Generator[None, Any, Any]:
        report = yield
        used = item._request._fixture_defs.values()  # of any scope, requested in any way
        report.ran = self.ran or not self.fixtures.isdisjoint(used)
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        free = report.passed and not report.ran
        self.free[report.nodeid] = self.free.get(report.nodeid, True) and free

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not hasattr(session.config, "workerinput"):  # of pytest-xdist's workers
            self.path.parent.mkdir(parents=True, exist_ok=True)
            names = [name for name, free in self.free.items() if free]
            self.path.write_text("\n".join(names), "utf-8")
