"""Saved results: the JSON form of the contract, written as a stream and read back exactly."""

from __future__ import annotations

import io
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

import numpy as np

from snstat import __version__
from snstat.atomic import whole_file
from snstat.errors import InputFileError
from snstat.results import (
    FIXEDPOINT_SCHEMA,
    GRADIENT,
    PROPAGATION_SCHEMA,
    STATISTICS,
    FixedPointReport,
    Outlook,
    Record,
    Run,
    Simulation,
    StackSummary,
    Statistic,
    TheoremResult,
)


def plain(value: Any) -> Any:
    """Return `value` in JSON's types: records as objects, non-finite numbers as None."""
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

    `names` are those of the checks whose baselines these are, if they are.
    """
    named = f', "names": {_dump(list(names))}' if names else ""
    yield f'{{"schema": {_dump(PROPAGATION_SCHEMA)}, "version": {_dump(__version__)}{named}'
    yield ', "runs": ['
    for number, run in enumerate(runs):
        head = {
            "stack": run.stack,
            "simulation": run.simulation,
            "partial": run.partial,
            "outlook": run.outlook,
        }
        yield ("\n" if number == 0 else ",\n") + _dump(head)[:-1] + ', "layers": ['
        for layer in run.layers:
            yield ("\n" if layer.layer == 0 else ",\n") + _dump(layer.to_json())
        yield "]}"
    yield "]}\n"


def reports_to_json(
    reports: Sequence[FixedPointReport], theorems: Sequence[TheoremResult] = ()
) -> str:
    """Return the JSON document of `snstat fixedpoint`."""
    runs = []
    for report in reports:
        run = plain(report)
        run |= run.pop("parameters")
        for key in ("solved", "trajectory"):
            if run[key] is None:
                del run[key]
        domain = run.pop("theorem_domain")
        if report.map == "unit":
            # Domains 3a and 3b belong to one theorem.
            run["theorem_domain"] = None if domain is None else int(domain[0])
        runs.append(run)
    form: dict[str, Any] = {"schema": FIXEDPOINT_SCHEMA, "version": __version__, "runs": runs}
    if theorems:
        form["theorems"] = [_theorem(result) for result in theorems]
    return json.dumps(form, allow_nan=False, indent=1) + "\n"


def _theorem(result: TheoremResult) -> dict[str, Any]:
    form: dict[str, Any] = plain(result)
    form["extremes"] = {
        name: {"value": value, "where": where} for name, (value, where) in form["extremes"].items()
    }
    return form


def save(run: Run, path: str | os.PathLike[str]) -> None:
    """Write `run` to a JSON file that `load` reads back; the file appears whole or not at all."""
    with whole_file(path) as file:
        file.writelines(runs_to_json([run]))


def load(path: str | os.PathLike[str]) -> Run:
    """Return the run saved in a JSON file of `snstat propagate` ("-" reads standard input).

    Raises InputFileError for a file that is missing, damaged, of another schema, or holds several
    runs (`load_all` returns them all).
    """
    runs = load_all(path)
    if len(runs) != 1:
        names = ", ".join(run.stack.activation for run in runs)
        raise InputFileError(path, f"holds {len(runs)} runs ({names})", "use snstat.load_all")
    return runs[0]


def load_all(path: str | os.PathLike[str]) -> list[Run]:
    """Return all runs saved in a JSON file of `snstat propagate` ("-" reads standard input).

    Raises InputFileError for a file that is missing, damaged, or of another schema.
    """
    return _load(path)[0]


def load_named(path: str | os.PathLike[str]) -> dict[str, Run]:
    """Return the runs of a baseline by the names of their checks, those of `snstat propagate` by
    their activations; raises what `load_all` raises."""
    runs, names = _load(path)
    return dict(zip(names or [run.stack.activation for run in runs], runs, strict=True))


def _load(path: str | os.PathLike[str]) -> tuple[list[Run], list[str]]:
    name = os.fspath(path)
    try:
        text = _read(name)
        form = json.loads(text)
    except OSError as error:
        raise InputFileError(name, error.strerror or str(error)) from None
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else "nested too deeply"
        raise InputFileError(
            name, f"is not JSON ({reason})", "save one with: snstat propagate -f json -o FILE"
        ) from None
    try:
        runs = _runs(form)
        return runs, _names(form, len(runs))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise InputFileError(
            name,
            f"is not a {PROPAGATION_SCHEMA} file ({_complaint(error)})",
            "save one with: snstat propagate -f json -o FILE",
        ) from None


def _read(name: str) -> str:
    if name != "-":
        return Path(name).read_text(encoding="utf-8")
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        return sys.stdin.read()
    return io.TextIOWrapper(stream, encoding="utf-8").read()


def _complaint(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)


def _runs(form: Any) -> list[Run]:
    if not isinstance(form, dict) or form.get("schema") != PROPAGATION_SCHEMA:
        seen = form.get("schema") if isinstance(form, dict) else type(form).__name__
        raise ValueError(f"its schema is {seen!r}")
    runs = [_run(entry) for entry in form["runs"]]
    if not runs:
        raise ValueError("it holds no run")
    return runs


def _names(form: dict[str, Any], count: int) -> list[str]:
    names = form.get("names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"names are {names!r}")
    if names and (len(names) != count or len(set(names)) != count):
        raise ValueError(f"{len(set(names))} names of {count} runs")
    return names


def _run(form: dict[str, Any]) -> Run:
    layers = form["layers"]
    if not layers:
        raise ValueError("a run without layers")
    if [layer["layer"] for layer in layers] != list(range(len(layers))):
        raise ValueError("layers are not numbered 0, 1, 2, ...")
    statistics = {
        name: _statistic(name, layers) for name in (*STATISTICS, GRADIENT) if name in layers[0]
    }
    missing = [name for name in STATISTICS if name not in statistics]
    if missing:
        raise KeyError(missing[0])
    return Run(
        stack=_record(StackSummary, form["stack"]),
        simulation=_record(Simulation, form["simulation"]),
        finite=np.array([bool(layer["finite"]) for layer in layers]),
        statistics=MappingProxyType(statistics),
        outlook=_record(Outlook, form["outlook"]) if form.get("outlook") is not None else None,
        partial=bool(form.get("partial", False)),
    )


def _statistic(name: str, layers: list[dict[str, Any]]) -> Statistic:
    estimate, stderr, theory = (
        np.array([_number(layer[name][key]) for layer in layers], dtype=np.float64)
        for key in ("estimate", "stderr", "theory")
    )
    # Files of before it was written have none.
    expected = np.array([_number(layer[name].get("expected")) for layer in layers], np.float64)
    return Statistic(estimate, stderr, theory, expected, logarithmic=name == GRADIENT)


def _number(value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} where a number belongs")
    return float(value)


# What a field's annotation allows in JSON.
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "float | None": (int, float, type(None)),
}


RecordType = TypeVar("RecordType", bound=Record)


def _record(kind: type[RecordType], form: dict[str, Any]) -> RecordType:
    values: dict[str, Any] = {}
    for entry in fields(kind):  # type: ignore[arg-type]  # children of Record are dataclasses
        value: Any = form[entry.name]
        allowed = _TYPES[cast("str", entry.type)]
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise TypeError(f"{entry.name} is {value!r}")
        values[entry.name] = (
            float(value) if float in allowed and isinstance(value, int | float) else value
        )
    return kind(**values)
