"""Options with several values stand for several runs: one for each combination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from snstat.errors import InvalidValueError

# More runs are probably a typing mistake: 1e4 stacks take hours.
MOST_VARIANTS = 1000


@dataclass(frozen=True, slots=True)
class Variant:
    """One run: its `options`, by keyword, and those of them that `differ` between the runs."""

    options: Mapping[str, Any]
    differ: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The values that differ: "relu", "weight-gain 1.5", "relu, weight-gain 1.5"."""
        words = [
            f"{value}" if key == "activation" else f"{key.replace('_', '-')} {_short(value)}"
            for key, value in self.differ.items()
        ]
        return ", ".join(words)


def variants(options: Mapping[str, Any]) -> list[Variant]:
    """Return the runs that `options` ask for, those of an option declared first varying slowest.

    A tuple holds the values of an option: none where it is not given (the run then has None for
    it). Raises InvalidValueError for more than `MOST_VARIANTS` runs.
    """
    axes = {
        key: value or (None,) if isinstance(value, tuple) else (value,)
        for key, value in options.items()
    }
    require_few(prod(map(len, axes.values())))
    several = [key for key, values in axes.items() if len(values) > 1]
    runs = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    return [Variant(run, {key: run[key] for key in several}) for run in runs]


def require_few(number: int) -> None:
    """Raise InvalidValueError for more than `MOST_VARIANTS` runs."""
    if number > MOST_VARIANTS:
        raise InvalidValueError(
            "number of runs", number, f"at most {MOST_VARIANTS:,}", "give fewer values"
        )


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
