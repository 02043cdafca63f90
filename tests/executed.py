"""What the tests execute of the package, as a plugin of pytest.

    python -m pytest -p tests.executed --coverage=FOLDER

Each process writes the lines and branches that its tests executed, for `slipcover --merge`.
Kernels are measured only as plain Python, by `make test-nojit`: the compiler takes no functions
that count. It works with and without pytest-xdist.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

# As in conftest.py, which is loaded after numba and so after numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numba
import slipcover
from slipcover.importer import SlipcoverLoader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    import pytest

# Lines and branches that no test needs to execute.
NOT_COUNTED = ["if TYPE_CHECKING:", "@overload", r"\.\.\.$"]

PACKAGE = Path(__file__).parents[1] / "snstat"
SOURCES = PACKAGE / "sources"
# What needs packages that only `make test-peers`, or only `make test-frameworks`, installs. Each of
# them says so by MEASURED, and measures these alone; files of the latter may lie in a folder of the
# former.
OPTIONAL = {
    "peers": [
        SOURCES / "torch",
        SOURCES / "weights" / "onnx_file.py",
        PACKAGE / "sweeps" / "dask_engine.py",
        PACKAGE / "sweeps" / "parquet_store.py",
        PACKAGE / "report" / "interactive",
    ],
    "frameworks": [
        SOURCES / "onnx",
        SOURCES / "keras",
        SOURCES / "nnx",
        SOURCES / "torch" / "hubs.py",
    ],
}
KERNELS = PACKAGE / "engine" / "kernels"

NAMES, GROUP = list(OPTIONAL), os.environ.get("MEASURED", "")
WANTED = OPTIONAL.get(GROUP, [PACKAGE])
OTHERS = NAMES[NAMES.index(GROUP) + 1 :] if GROUP else NAMES
OMITTED = [path for name in OTHERS for path in OPTIONAL[name]]
if not numba.config.DISABLE_JIT:
    OMITTED.append(KERNELS)
# Folders and files are omitted by patterns.
PATTERNS = [str(path / "*" if path.is_dir() else path) for path in OMITTED]

# Here, because conftest files import the package, and so in every worker of pytest-xdist. The
# package is measured in the processes of pytest only, not in those that tests start.
# Without a threshold probes stay. Their removal searches every object of the process, which takes
# longer and is seen by tests that count memory.
MEASURED = slipcover.Slipcover(
    branch=True,
    d_miss_threshold=-1,
    source=[str(path) for path in WANTED if path.is_dir()],
    omit=PATTERNS,
    exclude_also=NOT_COUNTED,
)
MATCHER = slipcover.FileMatcher(WANTED, PATTERNS)


# What pytest has to load itself: it warns, once for each of the sessions that tests of it begin.
PLUGIN = f"{PACKAGE.name}.pytest_plugin"


class Measuring(MetaPathFinder):
    """Finds the modules of the package, ahead of pytest, which loads those of a package that has a
    plugin of pytest itself, and then slipcover measures nothing."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = None
        if name.startswith(f"{PACKAGE.name}.") and name != PLUGIN:
            spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader and spec.origin and MATCHER.matches(spec.origin):
            spec.loader = SlipcoverLoader(MEASURED, spec.loader, spec.origin)
        return spec


sys.meta_path.insert(0, Measuring())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--coverage", type=Path, metavar="FOLDER", help="see tests/executed.py")


def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = session.config.getoption("coverage")
    if folder is None:
        return
    if hasattr(session.config, "workerinput"):
        MEASURED.source = None  # one process, the controlling one, reads what none imported
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{os.getpid()}.json").write_text(json.dumps(MEASURED.get_coverage()), "utf-8")
