"""The record of what theory predicts for every layer of a stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.results import STATISTICS, InputMoments


@dataclass(frozen=True, slots=True, eq=False)
class PairStates:
    """Averages over pairs of different samples, each (depth + 1,).

    `misalignment` is 1 − c of the pre-activations, `gap` is ½E[(φ₁ − φ₂)²] and `cosine` is that of
    the activations.
    """

    misalignment: FloatArray
    gap: FloatArray
    cosine: FloatArray


class Statistics(Mapping[str, FloatArray]):
    """The columns of statistics by name. Those that need pairs of samples are computed on first
    use."""

    def __init__(
        self,
        inputs: InputMoments,
        columns: Mapping[str, FloatArray],
        later: Mapping[str, Callable[[], FloatArray]],
    ) -> None:
        self._inputs, self._later = inputs, dict(later)
        self._columns = {name: self._whole(name, column) for name, column in columns.items()}

    def _whole(self, name: str, column: FloatArray) -> FloatArray:
        """Return the column with the known value of layer 0."""
        silent_cosine = name == "cosine" and np.isnan(column).all()
        if name in self._inputs.keys() and not silent_cosine:  # noqa: SIM118  # no dict
            column[0] = self._inputs[name]
        return column

    def __getitem__(self, name: str) -> FloatArray:
        if name not in self._columns and name in self._later:
            self._columns[name] = self._whole(name, self._later[name]())
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*STATISTICS, *self._later)))

    def __len__(self) -> int:
        return len({*STATISTICS, *self._later})


@dataclass(frozen=True, eq=False)
class Prediction:
    """Theory of a stack. Every array has shape (depth + 1,), NaN where there is no value.

    `statistics` maps each name of `results.STATISTICS` to its values. `pre_second_moment` and
    `misalignment` are q and 1 − c of the pre-activations, `growth` is χ = G²·E[φ'²] of the layer;
    all three are NaN at layer 0. `log_gradient` is the natural logarithm of the squared norm of
    ∂L/∂(layer output) over the same at the last layer.
    `sample_second_moment` (depth + 1, classes) is q for each class of samples of equal norm, and
    `shares` (classes,) are the shares of samples in them. There is one class, except for data whose
    samples differ in norm. The last class is then the largest sample, already counted in another
    class. `misalignment` and the statistics that need pairs of samples are computed on first use.
    """

    statistics: Statistics
    pre_second_moment: FloatArray
    pairs: Callable[[], PairStates]
    growth: FloatArray
    log_gradient: FloatArray
    sample_second_moment: FloatArray
    shares: FloatArray

    @property
    def misalignment(self) -> FloatArray:
        """1 − c of the pre-activations, (depth + 1,)."""
        return self.pairs().misalignment

    @cached_property
    def alone(self) -> Prediction:
        """The same prediction for a single sample: every pair is a sample with itself."""
        size = self.pre_second_moment.size
        nothing = PairStates(np.zeros(size), np.zeros(size), np.ones(size))
        return replace(self, pairs=lambda: nothing)
