"""The words of the picture of a sweep: its caption, and what options and values are called."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.activation import display_name
from snstat.report.figures.captions import OF_THEORY
from snstat.report.figures.sweep_points import ACTIVATION, LAYER, SEED, in_words
from snstat.report.numbers import as_given
from snstat.report.words import SEPARATOR, count
from snstat.results import GRADIENT
from snstat.results.sweep import SUBJECT

if TYPE_CHECKING:
    from snstat.report.figures.sweep_points import Shown
    from snstat.results.sweep import Sweep

# Whole numbers below have all their digits.
ALL_DIGITS = 1e7


def value_words(name: str | None, values: Sequence[Any]) -> list[str]:
    """Return the values of an option as people read them: activations as in all pictures, numbers
    with four digits, or as many as tell them apart."""
    if name == ACTIVATION:
        return [display_name(str(value)) for value in values]
    words = [_four(value) if isinstance(value, float) else str(value) for value in values]
    if len(set(words)) == len(words):
        return words
    return [as_given(value) if isinstance(value, float) else str(value) for value in values]


def labels_of(name: str | None, values: Sequence[Any]) -> list[str]:
    """Return what to call curves or panels: "width 64", or the name of an activation; of no option,
    nothing."""
    if name is None:
        return ["" for _ in values]
    words = value_words(name, values)
    return words if name == ACTIVATION else [f"{in_words(name)} {word}" for word in words]


def caption_of(sweep: Sweep, shown: Shown) -> str:
    """Return what the picture is of."""
    table, choice = sweep.cells, shown.choice
    place = "every layer" if choice.x == LAYER else "the last layer"
    if choice.y == GRADIENT and choice.x != LAYER:
        place = "the first row, over the last"
    parts = [*_subject(shown), f"{in_words(choice.y)} of {place}", count(len(table), "cell")]
    seeds = len(shown.values(SEED)) if SEED in sweep.columns else 1
    if SEED in (choice.x, choice.hue, choice.col):
        parts += ["each point is one seed"] if choice.x == SEED else []
    elif seeds > 1:
        parts.append(f"means over {seeds:,} seeds")
    failed, lost = int(table.failed.sum()), shown.cells_lost
    parts += [f"{failed:,} failed"] if failed else []
    parts += [f"{lost:,} with gaps where numbers are not finite"] if lost else []
    at_width, limit = shown.kinds_of_theory
    if limit:
        parts.append(f"lines: theory{', faint' if at_width else ''} at infinite width")
    elif at_width:
        parts.append("lines: theory")
    return SEPARATOR.join(parts)


def _subject(shown: Shown) -> Iterator[str]:
    """Yield what all cells have in common: the network or the activation, the size, and the
    trials."""
    network = _one(shown, SUBJECT)
    if network:
        yield str(network)
    activation = _one(shown, ACTIVATION)
    if activation is not None:
        yield display_name(str(activation))
    layers = _number(shown, "layers")
    if layers is not None:
        width = _number(shown, "width") if ACTIVATION in shown.table.columns else None
        yield count(int(layers), "layer") + ("" if width is None else f" of {width:,.0f}")
    measured = shown.there & np.isfinite(shown.estimate)
    if not measured.any():
        yield OF_THEORY
        return
    trials, batch = (_number(shown, name, measured) for name in ("trials", "batch"))
    if trials is not None:
        yield count(int(trials), "trial") + ("" if batch is None else f" × batch {batch:,.0f}")


def _one(shown: Shown, name: str, chosen: Any = None) -> Any:
    """Return the value of an option that all cells have, or all `chosen` rows; None where they
    differ, and where the picture or the table does not have it."""
    choice = shown.choice
    if name in (choice.x, choice.hue, choice.col) or name not in shown.table.columns:
        return None
    found = {str(value): value for value in shown.values(name, chosen)}
    return next(iter(found.values())) if len(found) == 1 else None


def _number(shown: Shown, name: str, chosen: Any = None) -> float | None:
    """Return the number that `_one` finds, None for what is none."""
    value = _one(shown, name, chosen)
    return value if isinstance(value, float) and math.isfinite(value) else None


def _four(value: float) -> str:
    whole = value.is_integer() and abs(value) < ALL_DIGITS
    return f"{value:.0f}" if whole else f"{value:.4g}"
