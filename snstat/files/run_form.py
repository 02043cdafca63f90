"""Parsing of a run from JSON, with validation of every value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np

from snstat.errors import quoted
from snstat.files.data_form import parse_data
from snstat.files.form import FormError, entries_of, entry_of, list_of, number_of
from snstat.files.run_bounds import require_possible
from snstat.files.trials_form import with_trials
from snstat.limits import MAX_SCALE, MAX_WIDTH
from snstat.network.description import SETTINGS, has_own_gain, summary_of
from snstat.network.run_settings import RunSettings
from snstat.network.stack import Stack
from snstat.results import (
    ALSO_MEASURED,
    EARLIER_SCHEMAS,
    GRADIENT,
    PROPAGATION_SCHEMA,
    STATISTICS,
    LayerMean,
    Outlook,
    Run,
    Simulation,
    StackSummary,
    Statistic,
)
from snstat.values import number
from snstat.values.kinds import Flag, Name, Real
from snstat.values.option import options_of

DIGEST = re.compile("sha256:[0-9a-f]{64}")
# Relative tolerance of numbers that follow from others, for rounding on other machines.
AGREE = 1e-12

Reader = Callable[[str, Any], Any]
flag: Reader = Flag().plain


def parse_run(form: Any, schema: str = PROPAGATION_SCHEMA) -> Run:
    """Return the run that `form` describes, the parsed JSON object of one run under `schema`.

    Unknown keys are ignored. Raises FormError, and InvalidValueError for a value out of bounds.
    """
    entries = entries_of("a run", form)
    stack = _stack(entries, schema)
    later = {} if schema != PROPAGATION_SCHEMA else LATER_SIMULATION
    simulation = Simulation(**_read("simulation", entries, SIMULATION | later))
    partial = flag("partial", entries.get("partial", False))
    layers = list_of("layers", entries)
    _require_layers(stack.depth, len(layers), partial=partial)
    rows = [entries_of(f"layer {number}", layer) for number, layer in enumerate(layers)]
    for expected, row in enumerate(rows):
        seen = entry_of(f"layer {expected}", row, "layer")
        if seen != expected or isinstance(seen, bool | float):
            raise FormError("layers are not numbered 0, 1, 2, ...")
    # Older runs lack the statistics that were added later.
    measured = [*STATISTICS, *(name for name in ALSO_MEASURED if name in rows[0])]
    # The gradient of schema 1 is another quantity, that of pre-activations.
    if GRADIENT in rows[0] and schema == PROPAGATION_SCHEMA:
        measured.append(GRADIENT)
    statistics = {name: _statistic(name, rows) for name in measured}
    require_possible(statistics, simulation)
    if entries.get("trials") is not None:
        statistics = with_trials(entries["trials"], statistics, simulation.trials)
    outlook = entries.get("outlook")
    return Run(
        stack=stack,
        simulation=simulation,
        finite=np.array(
            [Flag().plain("finite", entry_of("a layer", row, "finite")) for row in rows]
        ),
        statistics=MappingProxyType(statistics),
        outlook=None if outlook is None else Outlook(**_read("outlook", entries, OUTLOOK)),
        partial=partial,
        data=parse_data(entries.get("data"), simulation.batch),
        log_kurtosis=_layer_mean("log_kurtosis", entries.get("log_kurtosis")),
    )


def _layer_mean(name: str, form: Any) -> LayerMean | None:
    """Return the mean over layers in `form`, None for null."""
    if form is None:
        return None
    entries = entries_of(name, form)
    estimate, stderr = (
        number(f"{name}.{part}", entry_of(name, entries, part)) for part in ("estimate", "stderr")
    )
    if stderr < 0:
        raise FormError(f"{name}.stderr is {stderr:g}, but must be at least 0")
    return LayerMean(estimate, stderr)


def _stack(entries: dict[str, Any], schema: str) -> StackSummary:
    """Return the record of the stack, built from its settings. The file's numbers must agree."""
    if schema != PROPAGATION_SCHEMA:
        return _stack_of_schema_1(_read("stack", entries, STACK))
    values = _read("stack", entries, STACK | LATER_STACK)
    given = values["given"]
    if (values["weight_std"] is not None) != ("weight_std" in given):
        raise FormError("weight_std must be a number if and only if 'given' lists it")
    names: tuple[str, ...] = ("activation", "init", "widths", "last")
    if values["widths"] is None:
        names += ("depth", "width", "input_width")
    settings = {name: values[name] for name in names}
    settings |= {name: values[name] for name in SETTINGS if name in given}
    if not {"weight_gain", "weight_std"} & set(given) and has_own_gain(
        values["activation"], values["init"], values["weight_gain"]
    ):
        settings["init"] = None
    summary = summary_of(Stack.build(**settings))
    for name in ("depth", "width", "input_width", "weight_gain", "bias_std"):
        if not math.isclose(values[name], summary[name], rel_tol=AGREE, abs_tol=0.0):
            raise FormError(f"{name} is {values[name]:g}, but the settings give {summary[name]:g}")
    return summary


def _stack_of_schema_1(values: dict[str, Any]) -> StackSummary:
    """Return the record of a stack of schema 1, which does not list the given settings: those
    that differ from the initialiser's.

    Raises FormError for an orthogonal first layer that is not square: its weights had another
    variance than today's, which no description tells.
    """
    if values["init"] == "orthogonal" and values["input_width"] != values["width"]:
        shape = f"from {values['input_width']:,} to {values['width']:,} units"
        raise FormError(
            f"it has an orthogonal layer {shape}, which {EARLIER_SCHEMAS[0]} scaled otherwise than"
            " today; simulate it again"
        )
    settings = {name: values[name] for name in ("activation", "depth", "width", "init")}
    own = Stack.build(**settings)
    if values["weight_gain"] != own.repeated_gain:
        settings["weight_gain"] = values["weight_gain"]
    if values["bias_std"] != own.repeated_bias_std:
        settings["bias_std"] = values["bias_std"]
    return summary_of(Stack.build(**settings, input_width=values["input_width"]))


def _require_layers(depth: int, count: int, *, partial: bool) -> None:
    """Raise FormError unless a run of `depth` layers can have `count` of them, input included."""
    if count == 0:
        raise FormError("a run has no layers")
    if count > depth + 1 or (count < depth + 1 and not partial):
        raise FormError(f"depth is {depth}, but there are layers 0 to {count - 1}")


def _read(name: str, form: dict[str, Any], readers: dict[str, Reader]) -> dict[str, Any]:
    """Return the values of the object under `name`, each parsed by its reader."""
    entries = entries_of(name, entry_of("a run", form, name))
    return {key: read(key, entry_of(name, entries, key)) for key, read in readers.items()}


def _statistic(name: str, rows: list[dict[str, Any]]) -> Statistic:
    forms = [entries_of(name, entry_of(f"layer {i}", row, name)) for i, row in enumerate(rows)]
    estimate, stderr, theory = (
        np.array([number_of(f"{name}.{key}", entry_of(name, form, key)) for form in forms])
        for key in ("estimate", "stderr", "theory")
    )
    # Older files have neither.
    expected, neglected = (
        np.array([number_of(f"{name}.{key}", form.get(key)) for form in forms])
        for key in ("expected", "neglected")
    )
    return Statistic(estimate, stderr, theory, expected, neglected, logarithmic=name == GRADIENT)


# ------------------------------------------------------------------------ readers of one value


def _or_null(read: Reader) -> Reader:
    return lambda name, value: None if value is None else read(name, value)


def _digest(name: str, value: Any) -> str:
    if not isinstance(value, str) or not DIGEST.fullmatch(value):
        raise FormError(f"{name} is {quoted(value)}, but must be sha256: and 64 hexadecimal digits")
    return value


def _names(name: str, value: Any) -> tuple[str, ...]:
    found = value if isinstance(value, list) else [value]
    if not isinstance(value, list) or not all(entry in SETTINGS for entry in found):
        raise FormError(f"{name} is {quoted(value)}, but must be a list of {', '.join(SETTINGS)}")
    return tuple(entry for entry in SETTINGS if entry in found)


# Readers of the options, as they are declared.
OPTIONS = {name: declared.kind.plain for name, declared in options_of(RunSettings).items()}


def _options(*names: str) -> dict[str, Reader]:
    return {name: OPTIONS[name] for name in names}


STACK: dict[str, Reader] = {
    **_options("activation", "depth", "width", "init", "bias_std"),
    "input_width": OPTIONS["width"],
    # The gain that corresponds to weight_std is weight_std times √fan_in.
    "weight_gain": Real(0.0, MAX_SCALE * MAX_WIDTH**0.5).plain,
}
# Keys that schema 2 adds to schema 1.
LATER_STACK: dict[str, Reader] = {
    **{name: _or_null(OPTIONS[name]) for name in ("weight_std", "widths", "last")},
    "given": _names,
}
LATER_SIMULATION: dict[str, Reader] = {
    "inputs_digest": _or_null(_digest),
    **_options("standardize", "flatten"),
    "train": flag,
}
SIMULATION: dict[str, Reader] = {
    **_options("batch", "trials", "seed", "dtype", "inputs"),
    "sampler": Name(("dense", "matrix-free")).plain,
    "input_mean": _or_null(OPTIONS["input_mean"]),
    "input_std": _or_null(OPTIONS["input_std"]),
}
_ANY = Real(-math.inf, math.inf).plain
OUTLOOK: dict[str, Reader] = {
    "kind": Name(("converges", "vanishes", "silent", "explodes", "neutral", "drifts")).plain,
    "mean": _or_null(_ANY),
    "variance": _or_null(Real(0.0, math.inf).plain),
    "rate": _or_null(_ANY),
    "gradient_growth": _or_null(Real(0.0, math.inf).plain),
    "gradient_factor": _or_null(Real(0.0, math.inf).plain),
}
