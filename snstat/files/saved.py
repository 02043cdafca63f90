"""Saved results: JSON, written as a stream and read back exactly."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

from snstat import __version__
from snstat.disk.atomic import whole_file
from snstat.errors import InputFileError, InvalidValueError, quoted
from snstat.files.form import FormError, list_of
from snstat.files.run_form import parse_run
from snstat.files.subject_form import subject_form
from snstat.limits import in_gib, physical_memory
from snstat.results import (
    EARLIER_SCHEMAS,
    PROPAGATION_SCHEMA,
    Record,
    Run,
)

# The largest file that is read, about a million layers; it is read in pieces of PIECE_BYTES.
MOST_BYTES = 2**30
PIECE_BYTES = 2**20
SAVE_ONE = "save one with: snstat propagate -f json -o FILE"
NO_TEXT = "save one with: snstat propagate -f json -o FILE; see weights with: snstat weights FILE"
# What CSV of sweeps and of runs starts with, and Parquet.
TABLES = (b"cell,", b"run,", b"PAR1")
OF_TABLES = (
    "sweeps judge each cell in the column verdict; save runs, of several widths too, with: snstat"
    " propagate -w 64,256 -f json -o FILE"
)
NESTED = "nested too deeply"


def plain(value: Any) -> Any:
    """Return `value` in JSON types: records as objects, non-finite numbers as None."""
    if isinstance(value, Record):
        return {key: plain(value[key]) for key in value.keys()}  # noqa: SIM118  # not a dict
    if isinstance(value, dict | MappingProxyType):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _dump(value: Any) -> str:
    return json.dumps(plain(value), allow_nan=False)


def runs_to_json(runs: Sequence[Run], names: Sequence[str] = ()) -> Iterator[str]:
    """Yield the JSON document of `runs` in pieces, one line per layer.

    `names` are the names of the checks if the runs are baselines.
    """
    named = f', "names": {_dump(list(names))}' if names else ""
    yield f'{{"schema": {_dump(PROPAGATION_SCHEMA)}, "version": {_dump(__version__)}{named}'
    yield ', "runs": ['
    for number, run in enumerate(runs):
        head: dict[str, Any] = {
            **subject_form(run.subject, run.simulation),
            "partial": run.partial,
            "outlook": run.outlook,
        }
        if run.data is not None:
            head["data"] = run.data
        if run.log_kurtosis is not None:
            head["log_kurtosis"] = run.log_kurtosis
        if run.theory_ends:
            head["theory_ends"] = run.theory_ends
        yield ("\n" if number == 0 else ",\n") + _dump(head)[:-1] + ', "layers": ['
        for layer in run.layers:
            yield ("\n" if layer.layer == 0 else ",\n") + _dump(layer.to_json())
        yield "]"
        yield from _trials(run)
        yield "}"
    yield "]}\n"


def _trials(run: Run) -> Iterator[str]:
    """Yield the values of each trial, if kept, one line per statistic and trial."""
    start = ', "trials": {'
    for name, statistic in run.statistics.items():
        if statistic.trials is not None:
            yield f"{start}\n{_dump(name)}: ["
            for trial, values in enumerate(statistic.trials):
                yield ("\n" if trial == 0 else ",\n") + _dump(values)
            yield "]"
            start = ","
    if start == ",":
        yield "}"


def save(run: Run | Sequence[Run], path: str | os.PathLike[str]) -> None:
    """Write a run to a JSON file that `load` reads back, or several for `load_all`.

    The file is written whole or not at all. Raises InvalidValueError if `run` is neither a run nor
    a list of at least one, and OutputFileError if the file cannot be written.
    """
    runs: Any = [run] if isinstance(run, Run) else run
    if not isinstance(runs, Sequence) or not runs or not all(isinstance(r, Run) for r in runs):
        raise InvalidValueError(
            "run", run, "a run or a list of runs", "make one with snstat.propagate"
        )
    with whole_file(_file_name(path)) as file:
        file.writelines(runs_to_json(runs))


def load(path: str | os.PathLike[str]) -> Run:
    """Return the run saved in a JSON file of `snstat propagate` ("-" reads standard input).

    Raises InputFileError for a file that is missing, damaged, of another schema, or holds several
    runs (`load_all` returns them all).
    """
    runs = load_all(path)
    if len(runs) != 1:
        names = ", ".join(run.subject.called for run in runs)
        raise InputFileError(path, f"holds {len(runs)} runs ({names})", "use snstat.load_all")
    return runs[0]


def load_all(path: str | os.PathLike[str]) -> list[Run]:
    """Return all runs saved in a JSON file of `snstat propagate` ("-" reads standard input).

    Raises InputFileError for a file that is missing, larger than `MOST_BYTES`, damaged, or of
    another schema.
    """
    return _load(path)[0]


def load_named(path: str | os.PathLike[str]) -> dict[str, Run]:
    """Return the runs of a file by name.

    Runs of a baseline have the names of their checks. Runs of `snstat propagate` have the names of
    their activations or networks, numbered from the second run of a name on. Raises as `load_all`.
    """
    runs, names = _load(path)
    if names:
        return dict(zip(names, runs, strict=True))
    named: dict[str, Run] = {}
    for run in runs:
        name, seen = run.subject.called, 1
        while name in named:
            seen += 1
            name = f"{run.subject.called} {seen}"
        named[name] = run
    return named


def _load(path: str | os.PathLike[str]) -> tuple[list[Run], list[str]]:
    name = _file_name(path)
    try:
        data = _read(name)
    except OSError as error:
        raise InputFileError(name, error.strerror or str(error)) from None
    except ValueError as error:  # such as a path with a null character
        raise InputFileError(name, str(error)) from None
    if len(data) > MOST_BYTES:
        raise InputFileError(name, f"is larger than {MOST_BYTES:,} bytes", "save fewer layers")
    _require_memory(name, data)
    if data.startswith(TABLES):
        raise InputFileError(name, "is a table, with no run in it", OF_TABLES)
    try:
        form = json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise InputFileError(name, "is not JSON, and no text", NO_TEXT) from None
        reason = str(error).splitlines()[0] if isinstance(error, ValueError) else NESTED
        raise InputFileError(name, f"is not JSON ({reason})", SAVE_ONE) from None
    try:
        runs = _runs(form)
        return runs, _names(form, len(runs))
    except ValueError as error:
        reason = f"is not a {PROPAGATION_SCHEMA} file ({error})"
        raise InputFileError(name, reason, SAVE_ONE) from None


def _file_name(path: Any) -> str:
    if not isinstance(path, str | os.PathLike):
        raise InvalidValueError("path", path, "the name of a file")
    return os.fspath(path)


def _read(name: str) -> bytes:
    """Return the content of a file, at most its first MOST_BYTES + 1 bytes."""
    if name != "-":
        with Path(name).open("rb") as file:
            return _head(file.read)
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        return _head(lambda size: sys.stdin.read(size).encode("utf-8", "surrogatepass"))
    return _head(stream.read)


def _head(read: Callable[[int], bytes]) -> bytes:
    """Read in pieces, as a device may be endless, and stop early if it is no JSON object."""
    pieces: list[bytes] = []
    size = 0
    while size <= MOST_BYTES and (piece := read(min(PIECE_BYTES, MOST_BYTES + 1 - size))):
        pieces.append(piece)
        size += len(piece)
        if len(pieces) == 1 and not piece.lstrip(b" \t\r\n").startswith(b"{"):
            break
    return b"".join(pieces)


def _require_memory(name: str, data: bytes) -> None:
    """Raise InputFileError if parsing `data` may need more memory than this machine has."""
    # Bytes that Python needs for objects, lists, their entries (numbers or short strings) and text.
    needed = 250 * data.count(b"{") + 90 * data.count(b"[") + 60 * data.count(b",") + 2 * len(data)
    available = physical_memory()
    if needed > available:
        asked, most = in_gib(needed, available)
        reason = f"may need {asked} of memory (this machine has {most})"
        raise InputFileError(name, reason, "save fewer layers")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _runs(form: Any) -> list[Run]:
    seen = form.get("schema") if isinstance(form, dict) else type(form).__name__
    if seen not in (PROPAGATION_SCHEMA, *EARLIER_SCHEMAS):
        raise FormError(f"its schema is {quoted(seen)}")
    runs = [parse_run(entry, seen) for entry in list_of("runs", form)]
    if not runs:
        raise FormError("it holds no run")
    return runs


def _names(form: dict[str, Any], count: int) -> list[str]:
    names = form.get("names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FormError(f"names are {quoted(names)}, but must be a list of strings")
    if names and (len(names) != count or len(set(names)) != count):
        raise FormError(f"{len(set(names))} names for {count} runs")
    return names
