"""The permitted imports between the rooms of snstat, checked in every file.

cli -> report, sweeps -> checks -> experiment -> sources -> engine, theory -> network -> layers ->
gaussian -> activation -> errors. Every room may import `results` and `disk`, which import none.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import snstat
import snstat.results

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[1] / "snstat"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Rooms that every room may import.
COMMON = {"disk", "errors", "limits", "results", "values"}
# Room of snstat -> rooms that it may import.
ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "results": set(),
    "disk": {"errors"},
    "limits": {"errors"},
    "values": {"errors", "limits"},
    "activation": COMMON,
    "gaussian": COMMON | {"activation"},
    "layers": COMMON | {"activation", "gaussian"},
    "network": COMMON | {"activation", "gaussian", "layers"},
    "theory": COMMON | {"activation", "gaussian", "layers", "network"},
    "engine": COMMON | {"activation", "layers", "network"},
    "files": COMMON | {"activation", "network"},
    "sources": COMMON | {"activation", "engine", "files", "layers", "theory"},
    "experiment": COMMON
    | {"activation", "engine", "files", "gaussian", "network", "sources", "theory"},
    "checks": COMMON
    | {"activation", "experiment", "files", "gaussian", "layers", "network", "sources", "theory"},
    "sweeps": COMMON | {"checks", "engine", "experiment", "network", "theory"},
    "report": COMMON | {"activation"},
    "plot": COMMON | {"checks", "experiment", "report", "theory"},
    "display": COMMON | {"checks", "plot", "report"},
    "testing": COMMON | {"checks", "report"},
    "pytest_plugin": COMMON | {"checks", "files", "testing"},
}
TOP = {"__init__", "__main__", "cli"}

# Third-party package -> the only parts that may import it. All parts may import other packages.
OWNERS = {
    "click": {"cli"},
    "rich": {"cli", "display", "report"},
    "matplotlib": {"plot", "report"},
    "numba": {"engine"},
    "threadpoolctl": {"engine", "theory"},
    "torch": {"sources"},
    "onnx": {"sources"},
    "onnxruntime": {"sources"},
    "keras": {"sources"},
    "flax": {"sources"},
    "jax": {"sources"},
    "timm": {"sources"},
    "transformers": {"sources"},
    "bokeh": {"report"},
    "pyarrow": {"sweeps"},
    "distributed": {"sweeps"},
    "equinox": set(),
    "pytest": {"pytest_plugin"},
}
# Packages of frameworks -> the only files and folders of sources that may import them.
HOMES = {
    "torch": ("torch", "weights"),
    "onnx": ("onnx", "weights"),
    "onnxruntime": ("onnx",),
    "keras": ("keras",),
    "flax": ("nnx",),
    "jax": ("nnx",),
    "timm": ("torch",),
    "transformers": ("torch",),
}

HEAVY = ("numba", "scipy", "matplotlib")


class Import(NamedTuple):
    """One imported module: its place, its dotted name, and whether it is imported inside a
    function."""

    path: Path
    line: int
    module: str
    lazy: bool

    @property
    def part(self) -> str:
        return part_of(self.path)

    def __str__(self) -> str:
        return f"{self.path.relative_to(PACKAGE.parent)}:{self.line} imports {self.module}"


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def names_of(node: ast.stmt, path: Path) -> list[str]:
    """Return the absolute dotted names that an import statement may load."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        package = ["snstat", *path.relative_to(PACKAGE).parent.parts]
        base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
    if base == "snstat":  # from snstat import errors
        return [f"snstat.{alias.name}" for alias in node.names]
    return [base]


def imports_of(path: Path, source: str) -> Iterator[Import]:
    """Yield every import of a file. Imports for type checkers count as lazy."""

    def visit(node: ast.AST, *, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import | ast.ImportFrom):
                for module in names_of(child, path):
                    yield Import(path, child.lineno, module, lazy)
            waits = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or (
                isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            )
            yield from visit(child, lazy=lazy or waits)

    return visit(ast.parse(source), lazy=False)


def breaches(path: Path, source: str) -> Iterator[str]:
    """Yield every import of a file that is not permitted."""
    for entry in imports_of(path, source):
        top, _, rest = entry.module.partition(".")
        if top == "snstat":
            target = rest.partition(".")[0] or "__init__"
            if entry.part in TOP | {target} or rest == "__version__":
                continue
            if entry.part not in ARROWS:
                yield f"{entry}: add the part {entry.part!r} to ARROWS"
            elif target not in ARROWS[entry.part]:
                yield f"{entry}: {entry.part} may import only {sorted(ARROWS[entry.part])}"
        elif top in OWNERS and entry.part not in OWNERS[top]:
            yield f"{entry}: only {sorted(OWNERS[top])} may import {top}"
        elif top in HOMES and path.relative_to(PACKAGE).parts[1] not in HOMES[top]:
            yield f"{entry}: only {HOMES[top]} of sources may import {top}"
        elif top == "matplotlib" and not entry.lazy:
            yield f"{entry}: import matplotlib inside the function that draws"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path: Path) -> None:
    assert list(breaches(path, path.read_text(encoding="utf-8"))) == []


def test_the_guide_has_every_room_and_true_arrows() -> None:
    guide = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = {part_of(path) for path in SOURCES} - {"__init__", "__main__"}
    told = "".join(re.findall(r"^\| (`.*?) \|.*", guide, re.MULTILINE))
    beside = "".join(re.findall(r"^.* are what Python users see", guide, re.MULTILINE))
    names = re.findall(r"`(\w+)(?:\.py|/)`", told + beside)
    assert sorted(names) == sorted(rooms)
    (line,) = re.findall(r"^    (cli → .*)$", guide, re.MULTILINE)
    steps = [step.split(", ") for step in line.split(" → ")]
    for place, step in enumerate(steps[1:-1], 1):
        ahead = {name for names in steps[place + 1 :] for name in names}
        assert set(steps[place + 1]) <= set().union(*(ARROWS[name] for name in step))
        assert all(ARROWS[name] <= COMMON | ahead | {"files"} for name in step)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("theory/maps.py", "from snstat.engine.kernels import selu"),
        ("theory/maps.py", "from ..engine import kernels"),
        ("theory/maps.py", "from snstat import engine"),
        ("report/table.py", "from snstat.theory import maps"),
        ("report/table.py", "from snstat.network.stack import Stack"),
        ("report/figures/map.py", "import matplotlib"),
        ("report/figures/map.py", "from matplotlib.figure import Figure"),
        ("report/table.py", "def show():\n    from click import echo"),
        ("engine/loop.py", "import rich.progress"),
        ("engine/loop.py", "def run():\n    import snstat.cli.progress"),
        ("gaussian/pairs.py", "import numba as nb"),
        ("gaussian/pairs.py", "if TYPE_CHECKING:\n    from snstat.engine.simulate import simulate"),
        ("errors.py", "from .results import Run"),
        ("stray.py", "from snstat.errors import SnstatError"),
        ("sources/calls/trace.py", "def run():\n    import torch"),
        ("sources/nnx/model.py", "import keras"),
        ("sources/torch/trace.py", "import jax"),
        ("report/table.py", "import equinox"),
    ],
)
def test_a_forbidden_import_is_found(file: str, source: str) -> None:
    assert list(breaches(PACKAGE / file, source))


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("cli/plot.py", "import click, rich\nfrom snstat.engine import loop"),
        ("report/figures/map.py", "def draw():\n    from matplotlib.figure import Figure"),
        ("report/table.py", "from ..results import Run\nfrom .words import title"),
        ("report/t.py", "if TYPE_CHECKING:\n    from matplotlib.figure import Figure"),
        ("files/saved.py", "from snstat import __version__"),
        ("sources/keras/model.py", "import keras\nfrom snstat.sources.torch.restore import x"),
        ("sources/onnx/model.py", "import onnx, onnxruntime"),
        ("theory/maps.py", "import numpy as np\nfrom snstat.activation import ACTIVATIONS"),
    ],
)
def test_permitted_imports_pass(file: str, source: str) -> None:
    assert list(breaches(PACKAGE / file, source)) == []


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    )


def imported_modules(path: Path, modules: set[str]) -> set[str]:
    """Return which of `modules` a file imports, at any place.

    Names of packages stand for their `__init__` modules.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            bases = names_of(node, path)
            found.update(bases)
            found.update(f"{base}.{alias.name}" for base in bases for alias in node.names)
    return (found & modules) - {module_of(path), "snstat"}


def test_no_modules_import_each_other() -> None:
    """There are no import cycles among modules, counting lazy imports and those for type
    checkers."""
    modules = {module_of(path): path for path in SOURCES}
    graph = {name: imported_modules(path, set(modules)) for name, path in modules.items()}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize(
    "statement",
    [
        "import snstat",
        "from snstat.cli import run; run(['--help'])",
    ],
    ids=["import", "help"],
)
def test_start_loads_nothing_heavy(statement: str) -> None:
    program = (
        f"import sys\n{statement}\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stderr.splitlines()[-1] == "[]"


def test_files_are_short() -> None:
    # About 300 lines.
    allowed: dict[str, int] = {}
    lengths = {
        path.relative_to(PACKAGE).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in SOURCES
    }
    too_long = {name: n for name, n in lengths.items() if n > allowed.get(name, 350)}
    assert too_long == {}


MOST_ARGUMENTS = 8


def crowded(source: str) -> Iterator[str]:
    """Yield every function with more positional arguments than a person can call."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            count = len(node.args.posonlyargs) + len(node.args.args)
            if count > MOST_ARGUMENTS:
                yield f"line {node.lineno}: {count} positional arguments"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_take_at_most_eight_positional_arguments(path: Path) -> None:
    assert list(crowded(path.read_text(encoding="utf-8"))) == []


def test_a_crowded_function_is_found() -> None:
    assert list(crowded("def f(a, b, c, d, e, /, f, g, h, i): ..."))
    assert not list(crowded("def f(a, b, c, d, e, f, g, h, *, i, j): ..."))


# What a saved run of a uniform stack is judged without, if it breaks no rule and has no baseline:
# files and folders of snstat.
NOT_FOR_A_SAVED_STACK = tuple(
    f"snstat.{name}"
    for name in (
        # simulates, traces, reads what users bring
        "engine",
        "sources",
        "experiment.data",
        "experiment.network_plan",
        "experiment.plan",
        "experiment.plans",
        "experiment.trace",
        "checks.planned",
        # is about other networks, or about data
        "checks.module_case",
        "checks.network_case",
        "files.data_form",
        "files.module_form",
        "files.trials_form",
        "report.module_words",
        "results.fixedpoint",
        "results.module",
        "results.norms",
        "results.pictures",
        "layers.activation",
        "layers.container",
        "layers.dense",
        "layers.layer",
        "layers.signal",
        "layers.registry",
        "network.network",
        "theory.classes",
        "theory.finite_width_classes",
        "theory.finite_width_gradient",
        "theory.walk",
        # compares with a baseline, looks for remedies, judges weights
        "checks.baseline",
        "checks.inheritance",
        "checks.unlike",
        "checks.several",
        "checks.stack_remedies",
        "checks.weights_rules",
        "results.weights",
    )
)


def test_judging_a_saved_run_loads_no_more_than_it_needs(tmp_path: Path) -> None:
    snstat.save(snstat.propagate("selu", depth=2, width=64, batch=4), tmp_path / "run.json")
    program = (
        "import sys\nfrom snstat.cli import run\n"
        f"code = run(['check', '-q', {str(tmp_path / 'run.json')!r}])\n"
        "print(*sys.modules)\n"
        "sys.exit(code)"
    )
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    unneeded = tuple(f"{name}." for name in NOT_FOR_A_SAVED_STACK)
    loaded = found.stdout.split()
    # Nothing is shown of what passes, so nothing draws it.
    heavy = (*HEAVY, "rich", "snstat.report.words")
    assert [name for name in loaded if name in heavy or f"{name}.".startswith(unneeded)] == []


def test_every_record_is_found() -> None:
    """Those that are imported on first use too."""
    assert all(hasattr(snstat.results, name) for name in snstat.results.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Runs'"):
        snstat.results.Runs  # noqa: B018


def test_what_a_saved_run_does_not_need_exists() -> None:
    """A file that was renamed would be found in no list of modules."""
    assert set(NOT_FOR_A_SAVED_STACK) <= {module_of(path) for path in SOURCES}


def test_a_plan_loads_no_numba() -> None:
    """What is wrong with options is said before anything is simulated, and at once."""
    program = (
        "import sys\nfrom snstat.experiment.plan import Plan\n"
        "Plan.build('relu', 4, width=64, batch=4, backward=True)\n"
        "sys.exit('numba' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
