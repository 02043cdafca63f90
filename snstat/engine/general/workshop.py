"""What all layers of a run of the general sampler share."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from threading import local
from typing import Any, TypeVar

import numpy as np

from snstat.activation import Activation, require_functions
from snstat.engine.draws import drawn_layer
from snstat.engine.general.given import NOT_GIVEN, GivenLayer
from snstat.engine.general.samplers import is_matrix_free
from snstat.engine.kernels.layers import Activation as KernelActivation
from snstat.engine.kernels.layers import DrawnLayer
from snstat.engine.kernels.team import new_team
from snstat.engine.sampler import kernel_activation
from snstat.layers.draw import Values
from snstat.layers.weights import Weights
from snstat.network.run_settings import DENSE

T = TypeVar("T")


class Workshop:
    """What all layers of a run share: scratch of each thread, what kernels are told of matrices and
    activations, and the matrices that are `given`, by the number of their layer."""

    def __init__(
        self,
        dtype: np.dtype[Any],
        key: np.uint64,
        stop: Any,
        *,
        train: bool,
        sampler: str = DENSE,
        backward: bool = False,
        given: Mapping[int, GivenLayer] = NOT_GIVEN,
    ) -> None:
        self.given = given
        self.dtype, self.key, self.stop, self.train = dtype, key, stop, train
        self.sampler, self.backward = sampler, backward
        (self.team,) = new_team(1, stop)
        self._scratch = local()
        self._layers: dict[Weights, DrawnLayer] = {}
        self._matrix_free: dict[tuple[Weights, int, bool], bool] = {}
        self._activations: dict[str, KernelActivation] = {}

    def layer(self, weights: Weights) -> DrawnLayer:
        """Return the layer of `weights` as kernels take it."""
        if weights not in self._layers:
            self._layers[weights] = drawn_layer(weights, self.dtype.itemsize)
        return self._layers[weights]

    def is_matrix_free(self, weights: Weights, columns: int, *, tied: bool = False) -> bool:
        """Return whether a matrix that is fed with so many columns, if it is `tied` with some after
        the others, is not drawn."""
        key = weights, columns, tied
        if key not in self._matrix_free:
            self._matrix_free[key] = is_matrix_free(
                weights, columns, self.sampler, backward=self.backward, tied=tied
            )
        return self._matrix_free[key]

    def activation(self, function: Activation) -> KernelActivation:
        """Return an activation as kernels take it. Raises InvalidValueError for a pair of functions
        of which only the name is known."""
        if function.name not in self._activations:
            require_functions(function)
            self._activations[function.name] = kernel_activation(function)
        return self._activations[function.name]

    def scratch(self, name: str, *shape: int) -> Values:
        """Return room that this thread uses again and again: new memory costs a page fault for
        every 4 KiB."""
        return self._room(name, shape, self.dtype)

    def scratch_of_doubles(self, name: str, *shape: int) -> Values:
        """Return such room of float64; its names are others."""
        return self._room(name, shape, np.dtype(np.float64))

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` makes of scratch, once for each thread and `key`: to put it together
        takes a tenth of the time of a small layer."""
        made: dict[Hashable, T] = self._scratch.__dict__.setdefault("made", {})
        if key not in made:
            made[key] = make()
        return made[key]

    def _room(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Values:
        size = math.prod(shape)
        flat = getattr(self._scratch, name, None)
        if flat is None or flat.size < size:
            flat = np.empty(size, dtype)
            setattr(self._scratch, name, flat)
        room: Values = flat[:size].reshape(shape)
        return room
