"""The general sampler: any network, layer by layer, as the layers sample themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from snstat.engine import tensor
from snstat.engine.general.draw import LayerDraw
from snstat.engine.general.given import NOT_GIVEN, GivenLayer
from snstat.engine.general.grid import columns, on_grid
from snstat.engine.general.order import Order
from snstat.engine.general.unseen import matrix_bytes
from snstat.engine.general.workshop import Workshop
from snstat.engine.history import HISTORY_BYTES, OBJECTS, segment_length
from snstat.engine.inputs import Inputs
from snstat.engine.kernels import statistics
from snstat.engine.sampler import Trials, quiet
from snstat.engine.tensor import MEASURED_OF_TENSORS
from snstat.errors import InvalidValueError, LayerError
from snstat.layers.draw import Pass, PullValues, Values
from snstat.layers.layer import Layer
from snstat.layers.shape import Shape
from snstat.layers.weights import Weights
from snstat.network.network import Network
from snstat.network.rows import Row
from snstat.network.run_settings import DENSE
from snstat.results import MEASURED, BoolArray, FloatArray

FRACTIONS = [MEASURED.index(name) for name in ("dead_fraction", "saturated_fraction")]
# Bytes of a float64.
FACTOR_BYTES = 8


class Link(NamedTuple):
    """What the way back needs of a layer: its number, those of its sources, its pull-back, and the
    shapes of the arrays that it was fed."""

    number: int
    sources: tuple[int, ...]
    pull: PullValues
    shapes: tuple[tuple[int, ...], ...]


def require_shape(name: str, values: Values, expected: tuple[int, ...]) -> None:
    """Raise InvalidValueError unless an array has the shape that is `expected` of it."""
    if values.shape != expected:
        bound = f"{expected}, as the layer says: channels, batch and grid"
        raise InvalidValueError(f"shape of the {name}", values.shape, bound)


class Walk:
    """A trial on its way: the `values` that later layers need, by the number of their layer."""

    def __init__(
        self, sampler: General, trial: int, values: dict[int, Values], begin: int = 1
    ) -> None:
        self.sampler, self.trial, self.values = sampler, trial, values
        self._places = sampler.order.since(begin)

    def step(self, out: FloatArray | None = None) -> tuple[Link, bool]:
        """Sample the next layer, and measure it to `out` (statistics,) where given; return whether
        it is then finite. Values are incomplete after a stop.

        Raises LayerError for whatever a layer raises, and for values of another shape than the
        layer says.
        """
        place = next(self._places)
        draw = self.sampler.draw(self.trial, place.number)
        given = [self.values[source] for source in place.sources]
        shapes = tuple(values.shape for values in given)
        try:
            found = self.sampler.sampled(place.layer, given, draw)
            # Layers that compute in numpy may return more precise numbers.
            values = np.asarray(found.values, self.sampler.dtype)
            require_shape("values", values, self.sampler.promised(place.layer, shapes))
            fractions = (math.nan, math.nan) if out is None else draw.fractions(found.values)
        except MemoryError:
            raise
        except Exception as error:
            raise LayerError.of(place.path, error) from error
        self.values = {number: self.values[number] for number in place.kept}
        self.values[place.number] = values
        finite = out is None or measure(values, fractions, out)
        return Link(place.number, place.sources, found.pull, shapes), finite


class General(Trials):
    """Every layer gives its own values, from what a LayerDraw lends it.

    Weights, biases, inputs and read-outs have the counters of the dense sampler, so that a uniform
    stack is the same network. Values are kept only as long as a later layer needs them. Trials run
    on one thread each.
    """

    def __init__(
        self,
        network: Network,
        inputs: Inputs,
        trials: int,
        seed: int,
        dtype: str,
        *,
        train: bool,
        sampler: str = DENSE,
        backward: bool = False,
        given: Mapping[int, GivenLayer] = NOT_GIVEN,
        running: int | None = None,
    ) -> None:
        """Sample `trials` networks, of which `running` run at once, by default all."""
        if inputs.width != network.input.units:
            raise InvalidValueError("inputs", inputs.width, f"{network.input.units} units")
        super().__init__(inputs, trials, seed, dtype)
        self.network, self.depth, self.order = network, network.depth, Order(network.block)
        if network.input.grid:
            self.names = MEASURED_OF_TENSORS
        self.workshop = Workshop(
            self.dtype,
            self.key,
            self.stop,
            train=train,
            sampler=sampler,
            backward=backward,
            given=given,
        )
        self._walks: list[Walk | None] = [None] * trials
        # How many layers are sampled at once for the way back.
        self._running, self._segment = running or trials, segment_length(self.depth)
        # Shapes of the values of layers, by the layer, which the network holds, and its inputs'.
        self._promised: dict[tuple[int, tuple[tuple[int, ...], ...]], tuple[int, ...]] = {}
        # What the way back of each trial needs, None if memory does not suffice for all layers.
        self._links: list[list[Link]] | None = None

    def begin(self, number: int, out: FloatArray) -> bool:
        """Make layer 0 of a trial; see Sampler."""
        x = self.first(number)
        if self.network.input.tokens:  # numbers of tokens have no statistics
            out[:], self.alive[number] = math.nan, True
        else:
            with quiet():
                self.alive[number] = measure(x, (math.nan, math.nan), out)
        self._walks[number] = Walk(self, number, {0: x})
        return bool(self.alive[number])

    def draw(self, trial: int, number: int) -> LayerDraw:
        """Return what a layer of a trial draws from."""
        return LayerDraw(self.workshop, trial, number)

    def sampled(self, layer: Layer, given: Sequence[Values], draw: LayerDraw) -> Pass:
        """Return what a layer makes of what it is `given`, and its pull-back."""
        return layer.sample(given, draw)

    def promised(self, layer: Layer, shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
        """Return the shape of the values that a layer says it makes of arrays of these `shapes`."""
        key = id(layer), shapes
        found = self._promised.get(key)
        if found is None:
            tokens = self.network.input.tokens if layer.takes_tokens else 0
            after = layer.shape([Shape(own[0], own[2:], tokens) for own in shapes])
            found = self._promised[key] = (after.channels, shapes[0][1], *after.grid)
        return found

    def first(self, number: int) -> Values:
        """Return the inputs of a trial, (channels, batch, *grid)."""
        x = self.inputs.sample(number, self.seed, self.dtype.name)
        return on_grid(x, self.network.input)

    def advance(
        self,
        trials: range,
        first: int,  # noqa: ARG002
        out: FloatArray,
        finite: BoolArray,
    ) -> None:
        """Run the next layers of some trials; see Sampler."""
        for i, number in enumerate(trials):
            with quiet():
                self._run(number, out[i], finite[i])

    def _run(self, number: int, out: FloatArray, finite: BoolArray) -> None:
        """Run and measure the next layers of a trial, until one is not finite."""
        walk = self._walks[number]
        for i in range(len(out)):
            if walk is None or not self.alive[number]:
                out[i:] = math.nan
                self.done[number] += len(out) - i
                self._walks[number] = None
                return
            if self.stop[0]:
                return
            link, whole = walk.step(out[i])
            if self.stop[0]:
                return
            self.alive[number] = finite[i] = whole
            self.done[number] += 1
            if self._links is not None:
                self._links[number].append(link)

    def remember(self) -> None:
        """Keep what the backward pass needs, if memory suffices; see Sampler."""
        batch, needed, most = self.inputs.batch, 0.0, HISTORY_BYTES / self._running
        size = batch * self.dtype.itemsize
        for row in self.network.rows():
            needed += row.layer.kept * row.after.units * size + OBJECTS
            needed += self.beside(row) * size
            laws, is_free = self.laws(row), self.workshop.is_matrix_free
            tied = partial(is_free, tied=True)
            needed += matrix_bytes(row, laws, batch, self.dtype.itemsize, tied).kept
            columns, whole = batch * row.layer.columns(row.before), row.layer.whole
            alone = () if row.layer.tied(laws) else laws[whole:]
            free = sum(is_free(own, columns) for own in alone)
            # A matrix that is not drawn keeps a factor of its covariance over samples.
            needed += free * FACTOR_BYTES * columns**2
            if free or whole:
                needed += row.layer.gathered(row.before) * size
            if needed > most:
                return
        if needed * len(self.done) <= HISTORY_BYTES:
            self._links = [[] for _ in self.done]
        else:  # that of the trials that run at once fits
            self._segment = self.depth

    def beside(self, row: Row) -> int:
        """Return how many numbers of a sample a trial keeps beside the arrays of a layer."""
        return row.layer.beside(row.before)

    def laws(self, row: Row) -> Sequence[Weights]:
        """Return what the matrices of a layer are drawn from."""
        return row.layer.matrices(row.before)

    def links(self, number: int) -> Iterator[list[Link]]:
        """Yield what the way back needs of all layers, by segments of layers, the last one first.

        If the forward pass has not kept it, the trial runs again and keeps everything, if that fits
        for those that run at once. Else it keeps values every √depth layers, and each segment is
        sampled once more from these, so memory grows as √depth. Nothing more is yielded after a
        stop.
        """
        if self._links is not None:
            yield self._links[number]
            return
        length = self._segment
        walk, marks = Walk(self, number, {0: self.first(number)}), list[dict[int, Values]]()
        last = (self.depth - 1) // length * length
        for layer in range(last + 1):
            if layer % length == 0:
                marks.append(walk.values)
            if self.stop[0]:
                return
            if layer == last:  # all after it come with its segment
                break
            with quiet():
                walk.step()
        while marks:
            begin = 1 + (len(marks) - 1) * length
            walk = Walk(self, number, marks.pop(), begin)
            segment = []
            for _ in range(min(length, self.depth + 1 - begin)):
                if self.stop[0]:
                    return
                with quiet():
                    segment.append(walk.step()[0])
            yield segment


def measure(values: Values, fractions: tuple[float, float], out: FloatArray) -> bool:
    """Write the statistics of `values` (channels, batch, *grid) to `out` (statistics,); return
    whether all values are finite.

    They are those of MEASURED, and where `out` has room those of MEASURED_OF_TENSORS; what compares
    positions is NaN without a grid. `fractions` are the shares of dead and of saturated units.
    """
    if values.ndim == 2:
        out[len(MEASURED) :] = math.nan
        return bool(statistics.measure(columns(values), *fractions, out[: len(MEASURED)]))
    finite, found = tensor.measure(np.ascontiguousarray(values), "US" + "P" * (values.ndim - 2))
    out[:] = found[: len(out)]
    if finite:
        out[FRACTIONS] = fractions
    return finite
