"""Differences between runs: the fields of their descriptions that differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from snstat.activation import display_name
from snstat.errors import escaped
from snstat.report.network_words import described, network_name

if TYPE_CHECKING:
    from snstat.results import Run

# Fields in the order in which they are shown; others follow in the order of the records.
ORDER = ("network", "activation", "widths", "depth", "width", "last", "init", "weight_std",
         "weight_gain", "bias_std", "infinite_width", "inputs", "input_mean",
         "input_std")  # fmt: skip
# Field → the fields that may determine it. If one of them differs, the field is shown only if runs
# would look alike without it.
FOLLOWS: Mapping[str, set[str]] = {
    "depth": {"widths"},
    "width": {"widths"},
    "init": {"activation"},
    "weight_gain": {"activation", "init", "weight_std"},
    "bias_std": {"init"},
    "given": {"activation", "init", "weight_gain", "weight_std", "bias_std"},
    "inputs_digest": {"inputs", "standardize", "flatten"},
    "weights_digest": {"weights"},
    "input_width": {"widths", "width", "inputs"},
    "batch": {"inputs"},
    "input_mean": {"inputs"},
    "input_std": {"inputs"},
    "sampler": {
        "activation",
        "widths",
        "width",
        "init",
        "batch",
        "dtype",
        "inputs",
        "infinite_width",
    },
}
# The field that follows from the others, layer by layer.
SPELLED_OUT = "drawn"
DIGITS_OF_A_DIGEST = 15
# Fields whose values are shown without the field's name.
PLAIN = {"network", "activation", "init", "infinite_width", "inputs", "dtype", "sampler"}
SHORT = {"weight_gain": "gain", "depth": "layers"}
NUMBERED = "run"


def differences(runs: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    """Return the differences between `runs`: for each field that differs, its words for every run.

    Keys are display names ("gain"). Runs with equal descriptions are numbered. A field that follows
    from others, such as the initialiser from the activation, is shown only if runs look alike
    without it. A field that differs on its own is always shown.
    """
    fields_of = [{**described(run.subject), **dict(run.simulation)} for run in runs]
    known = dict.fromkeys(name for fields in fields_of for name in fields)
    names = [*ORDER, *(name for name in known if name not in (*ORDER, SPELLED_OUT))]
    found: dict[str, tuple[str, ...]] = {}
    differ: set[str] = set()
    for name in names:
        words = tuple(_words(name, fields.get(name)) for fields in fields_of)
        if len(set(words)) < 2:
            continue
        alike = _groups([*found.values(), words]) == _groups([*found.values()])
        if not (alike and FOLLOWS.get(name, set()) & differ):
            found[SHORT.get(name, name.replace("_", " "))] = words
        differ.add(name)
    if _groups([*found.values()]) < len(runs):
        found[NUMBERED] = tuple(str(number) for number in range(1, len(runs) + 1))
    return found


def labels(runs: Sequence[Run]) -> list[str]:
    """Return labels that distinguish `runs`, such as "ReLU, gain 1.5"."""
    found = differences(runs)
    plain = {SHORT.get(name, name.replace("_", " ")) for name in PLAIN}
    return [
        ", ".join(
            words[number] if name in plain else f"{name} {words[number]}"
            for name, words in found.items()
        )
        or network_name(run.subject)
        for number, run in enumerate(runs)
    ]


def _groups(columns: Sequence[tuple[str, ...]]) -> int:
    """Return how many different runs the columns distinguish."""
    return len(set(zip(*columns, strict=True))) if columns else 1


def _words(name: str, value: Any) -> str:
    if name == "infinite_width":
        return "own widths" if value is None else f"population of {value:,}"
    if value is None or value == ():
        return "—"
    if name in {"activation", "last"}:
        return display_name(str(value))
    if isinstance(value, tuple):
        return ", ".join(str(entry).replace("_", " ") for entry in value)
    if name in {"inputs_digest", "weights_digest"}:
        return str(value)[:DIGITS_OF_A_DIGEST]
    if type(value) is int and name != "seed":
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    return escaped(str(value))
