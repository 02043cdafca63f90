"""snstat is built, installed into a clean environment, and run outside the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from snstat import __version__

pytestmark = [pytest.mark.packaging, pytest.mark.slow]

CHECKOUT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
SHIPPED = (
    "snstat/py.typed",
    "snstat/files/schemas/propagation-2.json",
    "snstat/files/schemas/fixedpoint-1.json",
    "snstat/files/schemas/check-1.json",
    "snstat/files/schemas/network-1.json",
)


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that cannot see this checkout; return its standard output."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTHON", "VIRTUAL_ENV", "NUMBA_"))
    }
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sdist and the wheel built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, cwd=CHECKOUT)
    return folder


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    (path,) = distributions.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of programs of a clean environment with the wheel installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    # Modules are compiled on first import: compiling all of scipy takes longer than this test.
    run(programs / "python", "-m", "pip", "install", "--quiet", "--no-compile", wheel, cwd=folder)
    return programs


def test_distributions_are_fit_to_be_published(distributions: Path, wheel: Path) -> None:
    files = sorted(distributions.iterdir())
    run(sys.executable, "-m", "twine", "check", "--strict", *files, cwd=distributions)
    run(sys.executable, "-m", "check_wheel_contents", wheel, cwd=distributions)


def test_wheel_contains_only_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = {
        path.relative_to(CHECKOUT).as_posix()
        for path in (CHECKOUT / "snstat").rglob("*")
        if path.suffix in {".py", ".json", ".typed"}
    }
    assert names >= {*SHIPPED, *sources}
    others = {name.partition("/")[0] for name in names} - {"snstat"}
    assert others == {f"snstat-{__version__}.dist-info"}
    assert not [name for name in names if name.endswith((".pyc", ".nbi", ".nbc"))]


def test_metadata(wheel: Path) -> None:
    information = f"snstat-{__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read(f"{information}/METADATA").decode())
        assert f"{information}/licenses/LICENSE" in archive.namelist()
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    extras = {
        f"{entry}; extra == '{extra}'"
        for extra, entries in PROJECT["optional-dependencies"].items()
        for entry in entries
    }
    assert set(metadata.get_all("Requires-Dist", [])) == {*PROJECT["dependencies"], *extras}


def test_sdist_contains_what_the_tests_need(distributions: Path) -> None:
    (path,) = distributions.glob("*.tar.gz")
    root = f"snstat-{__version__}"
    with tarfile.open(path) as archive:
        names = {name.removeprefix(f"{root}/") for name in archive.getnames()}
    wanted = {"LICENSE", "Makefile", "README.md", "pyproject.toml", "tests/conftest.py"}
    wanted |= {".pre-commit-hooks.yaml", "CITATION.cff", ".github/workflows/test.yml"}
    assert names >= {*SHIPPED, *wanted}
    assert not [name for name in names if name.startswith((".venv", ".git/"))]


def test_the_three_commands_run_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    snstat = installed / "snstat"
    origin = run(installed / "python", "-c", "import snstat; print(snstat.__file__)", cwd=tmp_path)
    assert Path(origin.strip()).is_relative_to(installed.parent)
    version = run(snstat, "--version", cwd=tmp_path)
    assert __version__ in version
    assert run(installed / "python", "-m", "snstat", "--version", cwd=tmp_path) == version

    small = ["--depth", "4", "--width", "32", "--batch", "8", "--trials", "2"]
    run(snstat, "propagate", *small, "--format", "json", "--output", "run.json", cwd=tmp_path)
    document = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert len(document["runs"][0]["layers"]) == 5
    fixed = json.loads(run(snstat, "fixedpoint", "--format", "json", cwd=tmp_path))
    # SELU's fixed point by definition, to 12 digits: (mean, variance) = (0, 1).
    assert fixed["runs"][0]["fixed_points"][0]["variance"] == pytest.approx(1, abs=1e-12)

    for kind, content in (("propagation", document), ("fixedpoint", fixed)):
        schema = json.loads(run(snstat, "schema", kind, cwd=tmp_path))
        Draft202012Validator(schema).validate(content)

    run(snstat, "plot", "run.json", "--kind", "trajectory", "-o", "run.png", cwd=tmp_path)
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_pytest_finds_the_plugin(installed: Path, tmp_path: Path) -> None:
    python = installed / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-compile", "pytest", cwd=tmp_path)
    (tmp_path / "test_signal.py").write_text(
        "import pytest\n"
        "@pytest.mark.snstat(width=32, batch=8, trials=4)\n"
        "def test_signal(snstat):\n"
        "    assert snstat('selu', 4).stack.width == 32\n"
        "    snstat.unchanged('relu', 2)\n",
        "utf-8",
    )
    session = (python, "-m", "pytest", "-W", "error", "--strict-markers", "-q")
    assert "1 passed" in run(*session, "--snstat-update", cwd=tmp_path)
    assert "1 passed" in run(*session, cwd=tmp_path)


def test_the_hook_runs_the_checks_of_a_project(installed: Path, tmp_path: Path) -> None:
    (hook,) = yaml.safe_load((CHECKOUT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert hook["language"] == "python"
    (tmp_path / "snstat.toml").write_text(
        # The kernels that propagate above has compiled.
        "[check.small]\nactivation = 'selu'\ndepth = 4\nwidth = 32\nbatch = 8\ntrials = 2\n",
        "utf-8",
    )
    program, *arguments = hook["entry"].split()
    assert "passed small" in run(installed / program, *arguments, cwd=tmp_path)
