"""Fuzz targets: a format, its seeds, its mutations, and the commands that read the result.

A new format needs a new entry of `TARGETS`, a new command a new line in an entry.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

from jsonschema import Draft202012Validator
from rich.console import Console

import snstat
from snstat.checks.config import load_config
from snstat.errors import SnstatError
from snstat.files.saved import runs_to_json
from snstat.files.schema import schema
from snstat.files.weights_form import weights_to_json
from snstat.network.network import Network
from snstat.report.html import run_to_html
from snstat.report.table import print_runs
from snstat.report.text import runs_to_csv, runs_to_markdown
from snstat.report.weights_table import print_weights
from tests.robustness import json_mutations, numpy_mutations, seeds, toml_mutations
from tests.robustness.mutations import Mutation, several

# Placeholders for the damaged file and for a picture to draw.
FILE, PICTURE = "@file@", "@picture@"
# A run that takes little time.
SMALL = ("--trials", "1", "--batch", "2")
# The file that appears in the folder of the run if a damaged file is unpickled.
CANARY = "canary"


@dataclass(frozen=True)
class Command:
    """Arguments of snstat that read a file; one in `each` damaged files is tried with them."""

    each: int
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """One format.

    `mutations` are chosen at random, so that a repeated entry is chosen more often. `examine` reads
    the file through the Python API and raises AssertionError if the result is wrong.
    """

    suffix: str
    seeds: Callable[[], Iterator[bytes]]
    mutations: tuple[Mutation, ...]
    commands: tuple[Command, ...]
    examine: Callable[[Path], None]


@cache
def _validator() -> Any:
    return Draft202012Validator(schema("propagation"))


def examine_saved(path: Path) -> None:
    """Files accepted as saved runs can be written again, valid under the schema, and shown."""
    try:
        runs = snstat.load_all(path)
    except SnstatError:
        return
    again = "".join(runs_to_json(runs))
    _validator().validate(json.loads(again, parse_constant=_no_constant))
    for run in runs:
        assert len(run.finite) <= run.depth + 1 <= 10**9 + 1
        assert run.partial or len(run.finite) == run.depth + 1
        run_to_html(run)
    runs_to_markdown(runs)
    assert "".join(runs_to_csv(runs))
    console = Console(file=io.StringIO(), width=100)
    print_runs(runs, console)
    path.with_suffix(".again").write_text(again, "utf-8")
    assert "".join(runs_to_json(snstat.load_all(path.with_suffix(".again")))) == again


def _no_constant(constant: str) -> None:
    raise AssertionError(f"{constant} was written")


def examine_data(path: Path) -> None:
    """Files accepted as inputs can be simulated; other files raise errors of snstat."""
    try:
        run = snstat.propagate("relu", 1, width=3, batch=1, trials=1, inputs=path)
    except SnstatError:
        return
    assert len(run.finite) == 2


def examine_configuration(path: Path) -> None:
    """Files accepted as configurations name their checks and lines."""
    try:
        declared = load_config(path)
    except SnstatError:
        return
    lines = path.read_text("utf-8").count("\n") + 1
    assert all(entry.name and 1 <= entry.source.line <= lines for entry in declared)


def examine_network(path: Path) -> None:
    """Files accepted as networks are written and read back equal, and their rows can be found."""
    try:
        network = Network.load(path)
    except SnstatError:
        return
    assert Network.read(network.form()) == network
    again = path.with_suffix(".again.toml")
    network.save(again)
    assert Network.load(again) == network
    assert [row.number for row in network.rows([1, network.depth])][-1] == network.depth
    assert network.parameters >= 0


def examine_weights(path: Path) -> None:
    """Files accepted as weights have a valid result, which can be shown."""
    try:
        found = snstat.weights(path)
    except SnstatError:
        return
    form = json.loads(weights_to_json(found), parse_constant=_no_constant)
    Draft202012Validator(schema("weights")).validate(form)
    print_weights(found, Console(file=io.StringIO(), width=100))


def in_folder(mutation: Callable[..., bytes], random: Random, data: bytes) -> bytes:
    """Make a file that reveals unpickling in the folder of the run."""
    return mutation(random, data, Path.cwd() / CANARY)


def _packed(random: Random, data: bytes) -> bytes:
    return numpy_mutations.pack(random, several(random, data))


SMALL = ("-d", "1", "-w", "3", "-t", "1")
# As small as possible, whatever a baseline contains.
CHECKED = ("-d", "1", "-w", "3", "-t", "2", "-b", "2", "--inputs", "normal", "--seed", "1")
PROPAGATE = ("propagate", *SMALL, "--inputs", FILE)
READ_DATA = (
    Command(1, (*PROPAGATE, "-f", "csv")),
    Command(9, (*PROPAGATE, "-f", "table", "--dtype", "float64")),
    Command(7, (*PROPAGATE, "-f", "json", "--sampler", "dense", "-b", "2")),
    Command(8, (*PROPAGATE, "-f", "markdown", "--backward", "-b", "1")),
    Command(40, ("plot", *SMALL, "--inputs", FILE, "-o", PICTURE, "--format", "svg")),
    Command(45, ("plot", *SMALL, "--inputs", FILE, "--kind", "histogram", "-o", PICTURE)),
)
unpickle = partial(in_folder, numpy_mutations.unpickle_me)

TARGETS = {
    "saved": Target(
        "json",
        seeds.saved_runs,
        (
            *[json_mutations.mutate_form] * 4,
            json_mutations.repeat_key,
            *[several] * 3,
            unpickle,
        ),
        (
            Command(9, ("plot", FILE, "-o", PICTURE, "--format", "svg")),
            Command(11, ("plot", FILE, "--kind", "histogram", "-o", PICTURE)),
            Command(1, ("plot", FILE, "--kind", "correlation", "-o", PICTURE)),
            Command(31, ("plot", FILE, "--kind", "map", "--style", "dark", "-o", PICTURE)),
            Command(1, ("check", FILE, "-f", "json")),
            Command(3, ("check", *CHECKED, "--baseline", FILE)),
            Command(5, ("check", FILE, "--baseline", FILE, "-f", "junit")),
        ),
        examine_saved,
    ),
    "toml": Target(
        "toml",
        seeds.configurations,
        (several, toml_mutations.exchange, toml_mutations.exchange),
        (Command(1, ("check", "--config", FILE, "--trials", "2", "-f", "github")),),
        examine_configuration,
    ),
    "network": Target(
        "toml",
        seeds.networks,
        (several, *[toml_mutations.exchange_in_layers] * 3),
        (
            Command(1, ("show", FILE)),
            Command(3, ("show", FILE, "--set", "width=7", "-f", "markdown")),
            Command(5, ("show", FILE, "-f", "json")),
            Command(3, ("propagate", FILE, *SMALL, "--backward", "-f", "csv")),
            Command(4, ("check", FILE, *SMALL, "-f", "json")),
            Command(13, ("plot", FILE, *SMALL, "-o", PICTURE)),
        ),
        examine_network,
    ),
    "weights": Target(
        "safetensors",
        seeds.weights_files,
        (*[several] * 4, unpickle),
        (
            Command(1, ("weights", FILE)),
            Command(3, ("weights", FILE, "-f", "csv", "--layout", "jax")),
            Command(5, ("propagate", "--weights", FILE, "-t", "1", "-b", "2", "-f", "json")),
            Command(4, ("check", FILE, "--init", "lecun_normal", "-a", "selu", "-f", "json")),
        ),
        examine_weights,
    ),
    "npy": Target(
        "npy",
        seeds.npy_files,
        (*[several] * 3, *[numpy_mutations.lie] * 3, unpickle),
        READ_DATA,
        examine_data,
    ),
    "npz": Target(
        "npz",
        seeds.npz_files,
        (
            *[several] * 4,
            *[numpy_mutations.packed_lie] * 2,
            *[numpy_mutations.misdirect] * 2,
            _packed,
            numpy_mutations.bomb,
            unpickle,
        ),
        READ_DATA,
        examine_data,
    ),
}
