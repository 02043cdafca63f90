"""What tells several runs apart: the fields of their descriptions that differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from snstat.errors import escaped
from snstat.report.words import display_name

if TYPE_CHECKING:
    from snstat.results import Run

# Fields in the order in which they tell runs apart; others follow as the records have them.
ORDER = ("activation", "widths", "depth", "width", "last", "init", "weight_std", "weight_gain",
         "bias_std", "inputs", "input_mean", "input_std")  # fmt: skip
# Field → the fields that it may follow from: where one of them differs, it is told only if runs
# would look alike without it.
FOLLOWS: Mapping[str, set[str]] = {
    "depth": {"widths"},
    "width": {"widths"},
    "init": {"activation"},
    "weight_gain": {"activation", "init", "weight_std"},
    "bias_std": {"init"},
    "given": {"activation", "init", "weight_gain", "weight_std", "bias_std"},
    "inputs_digest": {"inputs", "standardize", "flatten"},
    "input_width": {"widths", "width", "inputs"},
    "batch": {"inputs"},
    "input_mean": {"inputs"},
    "input_std": {"inputs"},
    "sampler": {"activation", "widths", "width", "init", "batch", "dtype", "inputs"},
}
# What follows from the others layer by layer.
SPELLED_OUT = "drawn"
DIGITS_OF_A_DIGEST = 15
# Values that need no name beside them.
PLAIN = {"activation", "init", "inputs", "dtype", "sampler"}
SHORT = {"weight_gain": "gain", "depth": "layers"}
NUMBERED = "run"


def differences(runs: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    """Return what tells `runs` apart: for each field that differs, its words for every run.

    Fields are called as people read them ("gain"). Runs that are described alike are numbered. A
    field that follows from others, such as the initialiser from the activation, is told only where
    the fields before it leave runs alike; one that differs on its own always is.
    """
    described = [{**dict(run.stack), **dict(run.simulation)} for run in runs]
    names = [*ORDER, *(name for name in described[0] if name not in (*ORDER, SPELLED_OUT))]
    found: dict[str, tuple[str, ...]] = {}
    differ: set[str] = set()
    for name in names:
        words = tuple(_words(name, fields.get(name)) for fields in described)
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
    """Return what to call each of `runs` beside the others: "ReLU, gain 1.5"."""
    found = differences(runs)
    plain = {SHORT.get(name, name.replace("_", " ")) for name in PLAIN}
    return [
        ", ".join(
            words[number] if name in plain else f"{name} {words[number]}"
            for name, words in found.items()
        )
        or display_name(run.stack.activation)
        for number, run in enumerate(runs)
    ]


def _groups(columns: Sequence[tuple[str, ...]]) -> int:
    """Return how many kinds of runs the columns tell apart."""
    return len(set(zip(*columns, strict=True))) if columns else 1


def _words(name: str, value: Any) -> str:
    if name == "activation" or (name == "last" and value is not None):
        return display_name(str(value))
    if value is None or value == ():
        return "—"
    if isinstance(value, tuple):
        return ", ".join(str(entry).replace("_", " ") for entry in value)
    if name == "inputs_digest":
        return str(value)[:DIGITS_OF_A_DIGEST]
    if isinstance(value, float):
        return f"{value:.6g}"
    return escaped(str(value))
