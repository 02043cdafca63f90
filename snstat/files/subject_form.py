"""What a run is of, as JSON: a uniform stack, a network of any layers, or a traced module."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snstat.errors import InvalidValueError, NetworkFormError, quoted
from snstat.files.form import (
    OPTIONS,
    FormError,
    Reader,
    digest,
    entry_of,
    list_of,
    options,
    or_null,
    read,
)
from snstat.limits import MAX_SCALE, MAX_WIDTH, require_memory
from snstat.network.description import (
    BYTES_PER_ROW,
    SETTINGS,
    has_own_gain,
    network_summary,
    stack_of,
    summary_of,
)
from snstat.network.stack import Stack
from snstat.results import (
    EARLIER_SCHEMAS,
    GivenWeights,
    NetworkSummary,
    Record,
    Simulation,
    StackSummary,
    Subject,
)
from snstat.results.network import LAYOUTS
from snstat.values.kinds import Name, Real

# Relative tolerance of numbers that follow from others, for rounding on other machines.
AGREE = 1e-12
# The kind of the layers of a chain of matrices.
DENSE = "dense"
SAMPLER = Name(("dense", "matrix-free"))


def subject_form(
    subject: Subject, simulation: Simulation
) -> Mapping[str, Record | dict[str, Any] | None]:
    """Return the values of "stack", "network", "simulation" and, for a traced module, "module", for
    a network whose weights are given, "given_weights".

    The stack is None for a network that is no stack, the network for a stack that no file can
    hold, and both for a module.
    """
    if subject.what == "module":
        from snstat.files.module_form import module_form, trace_form

        traced = {"module": module_form(subject), "simulation": trace_form(subject, simulation)}
        return {"stack": None, "network": None, **traced}
    return {**_network_form(subject), "simulation": simulation}


def _network_form(
    subject: StackSummary | NetworkSummary,
) -> dict[str, Record | dict[str, Any] | None]:
    from snstat.network.network import Network

    if isinstance(subject, NetworkSummary):
        given = {} if subject.weights is None else {"given_weights": subject.weights}
        return {"stack": subject.stack, "network": subject.form, **given}
    try:
        form = Network.of(stack_of(subject)).form()
    except InvalidValueError:  # a pair of functions has no name, and many widths no file
        form = None
    return {"stack": subject, "network": form}


def parse_subject(entries: dict[str, Any], *, earlier: bool) -> Subject:
    """Return what a run is of. An `earlier` file is one of schema 1.

    Raises FormError, and SnstatError for a value out of bounds.
    """
    if earlier:
        return _stack_of_schema_1(read("stack", entries, STACK))
    stack = None
    if entry_of("a run", entries, "stack") is not None:
        stack = _stack(read("stack", entries, STACK | LATER_STACK))
    form, weights = entries.get("network"), entries.get("given_weights")
    if weights is not None:
        if stack is not None:
            raise FormError("it has both a stack and given_weights")
        return replace(_network(entries), weights=_given(entries))
    # A stack that options describe has no name.
    if stack is not None and not (isinstance(form, dict) and form.get("name")):
        return stack
    return replace(_network(entries), stack=stack)


def _network(entries: dict[str, Any]) -> NetworkSummary:
    """Return the record of a network of any layers, with the samplers that its rows name."""
    from snstat.network.network import Network

    rows = list_of("layers", entries)
    samplers = [_sampler(row.get("sampler")) for row in rows if isinstance(row, dict)]
    try:
        network = Network.read(entry_of("a run", entries, "network"))
        # Before all layers are listed: a file of few bytes may claim a billion.
        require_layers(network.depth, len(rows), partial=bool(entries.get("partial")))
        require_memory(float(network.depth) * BYTES_PER_ROW, "save a smaller network")
        return network_summary(network, samplers)
    except NetworkFormError as error:
        raise FormError(f"network: {error}") from None


def _given(entries: dict[str, Any]) -> GivenWeights:
    """Return the record of given weights, which only a chain of dense layers has."""
    for layer in entries["network"]["layers"]:
        if layer.get("kind") != DENSE or layer.get("activation") is None:
            raise FormError("given_weights belong to dense layers with an activation only")
    return GivenWeights(**read("given_weights", entries, WEIGHTS))


def require_layers(depth: int, count: int, *, partial: bool) -> None:
    """Raise FormError unless a run of `depth` layers can have `count` of them, input included."""
    if count == 0:
        raise FormError("a run has no layers")
    if count > depth + 1 or (count < depth + 1 and not partial):
        raise FormError(f"depth is {depth}, but there are layers 0 to {count - 1}")


def _sampler(value: Any) -> str | None:
    return None if value is None else SAMPLER.plain("sampler", value)


def _stack(values: dict[str, Any]) -> StackSummary:
    """Return the record of the stack, built from its settings. The file's numbers must agree."""
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


def _texts(name: str, value: Any) -> tuple[str, ...]:
    found = value if isinstance(value, list) else []
    if not found or not all(isinstance(entry, str) for entry in found):
        raise FormError(f"{name} is {quoted(value)}, but must be a list of names")
    return tuple(found)


def _file(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise FormError(f"{name} is {quoted(value)}, but must be the name of a file")
    return value


def _names(name: str, value: Any) -> tuple[str, ...]:
    found = value if isinstance(value, list) else [value]
    if not isinstance(value, list) or not all(entry in SETTINGS for entry in found):
        raise FormError(f"{name} is {quoted(value)}, but must be a list of {', '.join(SETTINGS)}")
    return tuple(entry for entry in SETTINGS if entry in found)


STACK: dict[str, Reader] = {
    **options("activation", "depth", "width", "init", "bias_std"),
    "input_width": OPTIONS["width"],
    # The gain that corresponds to weight_std is weight_std times √fan_in.
    "weight_gain": Real(0.0, MAX_SCALE * MAX_WIDTH**0.5).plain,
}
# Keys that schema 2 adds to schema 1.
LATER_STACK: dict[str, Reader] = {
    **{name: or_null(OPTIONS[name]) for name in ("weight_std", "widths", "last")},
    "given": _names,
}
WEIGHTS: dict[str, Reader] = {
    "file": _file,
    "digest": digest,
    "tensors": _texts,
    "layout": Name(LAYOUTS).plain,
}
