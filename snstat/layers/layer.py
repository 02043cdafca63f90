"""The protocol of layers: what a kind has to know of itself."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self, TypeVar

from snstat.errors import InvalidValueError
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.between import linear_between
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.no_theory import ON_GRID, UNDERIVED, NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step
from snstat.layers.spread import Spread
from snstat.layers.weights import Weights
from snstat.values.option import Settings, options_of

T = TypeVar("T")


class Layer(Settings, ABC):
    """A kind of layer: a frozen dataclass.

    Its fields, declared as options, are its keys in files and JSON and its words in help. `kind` is
    its name in `registry.KINDS`. All methods are pure.
    """

    kind: ClassVar[str]
    # Arrays as large as its output that a trial keeps for the way back, the output among them.
    arrays: ClassVar[int] = 2
    # Whether it takes numbers of tokens, with which most kinds cannot calculate.
    takes_tokens: ClassVar[bool] = False
    # The key of files that names the second layer that it may start from, "" for none.
    second: ClassVar[str] = ""
    # Whether a part of it keeps its size where many units stand for the layer.
    sized: ClassVar[bool] = False
    # Whether the units of every sample and position have a mean square that follows from nothing
    # but the layer, as those of a norm do.
    renews: ClassVar[bool] = False
    # Whether it treats every position by itself, as it does every sample: those of vectors may then
    # stand at positions.
    per_position: ClassVar[bool] = False
    # Whether products of two samples after it are a linear function of those before it, which is
    # the same for all samples.
    linear: ClassVar[bool] = False
    # How many of `matrices`, the first ones, are drawn whole, whatever the sampler.
    whole: ClassVar[int] = 0
    # Whether the values of a sample depend on the rest of its batch in train mode.
    mixes: ClassVar[bool] = False

    @abstractmethod
    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Return the shape of the output. Raises InvalidValueError for inputs that do not fit."""

    @abstractmethod
    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:
        """Return theory of this layer for `batch` samples, or why none is known: no guess.

        Moments are over units. A layer that picks some units out, or moves them, needs units that
        are independent and alike: those of a signal without `PLACE` in `fresh`. Of inputs that are
        not known (NaN) nothing is, and the reason of the first of them is told.
        """

    @abstractmethod
    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """Return the values after this layer in one trial, and how gradients are pulled back."""

    def spread(self, step: Step, inputs: Sequence[Spread]) -> Spread | NoTheory:  # noqa: ARG002
        """Return how the layer's second moment fluctuates between networks, to first order in
        1/width, after `step` and what the `inputs` fluctuate by; or why that is not known, as
        behind a layer that makes other positions: it is of all units, not of those at a position.
        """
        return _underived([*step.inputs, step.signal])

    def between(self, steps: Sequence[Step], inputs: Sequence[FloatArray]) -> FloatArray | NoTheory:
        """Return the products of different samples after this layer, given the step of each and
        those of its `inputs`; or why theory does not know them. See `between.py`."""
        if not self.linear:
            return NoTheory("products of samples that differ are not derived for it")
        return linear_between(lambda given: self.moments(given, 1), steps, inputs)

    def turned(self, knob: str, value: Any) -> Self | None:
        """Return this layer with the option `knob` set to `value`, None if it has no such one."""
        if knob not in options_of(type(self)):
            return None
        return replace(self, **{knob: value})  # type: ignore[type-var]  # kinds are dataclasses

    def evaluated(self) -> Layer:
        """Return the layer that this one is in eval mode, whose theory holds there."""
        return self

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Return the number of weights and biases, of all layers that this one contains. Biases
        count where they are 0 at first."""
        return sum(own.count for own in self.matrices(inputs))

    def matrices(self, inputs: Sequence[Shape]) -> tuple[Weights, ...]:  # noqa: ARG002
        """Return what `sample` draws matrices from, in order. All act on the first input."""
        return ()

    def tied(self, matrices: Sequence[Weights]) -> Sequence[Sequence[Weights]]:  # noqa: ARG002
        """Return those of `matrices` that act at several times, in groups that act on the same
        values: none in most kinds. Those that are drawn are kept for the way back."""
        return ()

    def columns(self, inputs: Sequence[Shape]) -> int:
        """Return on how many columns `matrices` act, for one sample: one for each position."""
        return inputs[0].positions

    def steps(self, inputs: Sequence[Shape]) -> float:
        """Return how many kernels `sample` calls one after the other, in those of one matrix."""
        return max(len(self.matrices(inputs)), 1)

    def gathered(self, inputs: Sequence[Shape]) -> int:  # noqa: ARG002
        """Return how many numbers of a sample are put together for `matrices`, beside the inputs. A
        trial keeps them for the way back where a matrix is not drawn."""
        return 0

    def beside(self, inputs: Sequence[Shape]) -> int:  # noqa: ARG002
        """Return how many numbers of a sample a trial keeps for the way back, beside `arrays` and
        matrices."""
        return 0

    def at_once(self, inputs: Sequence[Shape]) -> float:  # noqa: ARG002
        """Return the share of its `arrays`, and of what it keeps beside them, that is there at
        once where nothing is kept for the way back."""
        return 1.0

    def slopes(self, shape: Shape, mean: float, second_moment: float) -> tuple[float, ...]:  # noqa: ARG002
        """Return E[(∂y/∂z)²] of the output y for the pre-activations z of each of `matrices`, for
        inputs of this shape, E[x] and E[x²]. NaN where that is not known."""
        return (math.nan,) * len(self.matrices([shape]))

    def unlimited(self, own: Sequence[Shape], wide: Sequence[Shape]) -> str:  # noqa: ARG002
        """Return why a population of many units does not stand for this layer with its `own`
        inputs, which are `wide` there; "" where it does. Options named width or channels are those
        of the population, and units of the input may stand in copies, next to each other."""
        return ""

    @property
    def kept(self) -> int:
        """The number of arrays that a trial keeps of this layer: `arrays`, or fewer."""
        return self.arrays

    @property
    def pairs(self) -> bool:
        """Whether its theory needs moments of pairs of positions, which layers before it then
        follow."""
        return False

    @property
    def count(self) -> int:
        """The number of layers that this one is: 1 unless it contains others."""
        return 1


def _underived(signals: Sequence[Signal]) -> NoTheory:
    grid = any(signal.mean.size > 1 for signal in signals)
    return NoTheory(ON_GRID if grid else UNDERIVED)


def shape_after(layer: Layer, inputs: Sequence[Shape]) -> Shape:
    """Return the shape after a layer. Raises InvalidValueError for inputs that do not fit, and for
    numbers of tokens where it would calculate with them."""
    tokens = max((shape.tokens for shape in inputs), default=0)
    if tokens and not layer.takes_tokens:
        remedy = 'begin with { kind = "embedding", width = 512 }'
        raise InvalidValueError("input", f"{tokens:,} tokens", "numbers, not tokens", remedy)
    found: Any = layer.shape(inputs)
    if not isinstance(found, Shape):
        raise InvalidValueError("shape", found, "a Shape")
    return found


def one(inputs: Sequence[T]) -> T:
    """Return the only input. Raises InvalidValueError for none or several."""
    if len(inputs) != 1:
        raise InvalidValueError("inputs", len(inputs), "one layer")
    return inputs[0]


def several(inputs: Sequence[T]) -> Sequence[T]:
    """Return `inputs`. Raises InvalidValueError for fewer than two."""
    if len(inputs) < 2:  # a sum or product of one is no such thing
        remedy = 'name them: inputs = ["input", "previous"]'
        raise InvalidValueError("inputs", len(inputs), "two layers or more", remedy)
    return inputs


def alike(inputs: Sequence[Shape]) -> Shape:
    """Return the shape that all `inputs`, two or more, have.

    Raises InvalidValueError for fewer, and for different ones.
    """
    first = several(inputs)[0]
    for other in inputs:
        if other != first:
            remedy = ""
            if other.grid == first.grid:
                remedy = f"a dense layer gives one of them {first.channels} channels"
            shapes = f"{first} and {other}"
            raise InvalidValueError("inputs", shapes, "layers of one shape", remedy)
    return first
