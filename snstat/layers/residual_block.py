"""A residual: a shortcut around layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

from snstat.errors import InvalidValueError
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.add import sum_between, sum_of
from snstat.layers.block import Block
from snstat.layers.container import Container
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.entry import Entries, Entry, evaluated
from snstat.layers.layer import Layer
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step
from snstat.layers.spread import Spread
from snstat.layers.sum_spread import after_sum
from snstat.limits import MAX_SCALE
from snstat.values.kinds import Real
from snstat.values.option import option

# The name of the shortcut among the names of the layers of the branch.
SHORTCUT = "shortcut"


@dataclass(frozen=True)
class Residual(Container):
    """skip·shortcut(x) + scale·layers(x), where the shortcut is x itself or layers.

    If the branch f(x) ends in weights of mean 0, E[xx'] grows by scale² E[ff'], and squared
    gradients of x add up: with scale 1 a branch that preserves the signal doubles both, and with
    scale² = 1/L, L of them multiply them by less than e. What goes past the branch is multiplied by
    skip², and with 0 there is only the branch. If that ends in an activation, the means add as
    well. Nothing is known of branches whose units depend on the same weights as those of x, nor of
    an activation after the sum, unless x and f(x) are Gaussian.
    Sources: arXiv:1512.03385, arXiv:1712.08969, arXiv:2203.00555 (`skip`).
    """

    kind: ClassVar[str] = "residual"
    sums: ClassVar[bool] = True

    entries: tuple[Entry, ...] = option(Entries(), "The layers of the branch.", default=MISSING)
    scale: float = option(Real(-MAX_SCALE, MAX_SCALE), "Factor of the branch.", default=1.0)
    shortcut: tuple[Entry, ...] | None = option(
        Entries(), "The layers of the shortcut.", shown="none: the input itself"
    )
    skip: float = option(Real(-MAX_SCALE, MAX_SCALE), "Factor of the shortcut.", default=1.0)

    def __post_init__(self) -> None:
        """Validate every value. A layer of the branch may not be called as the shortcut is."""
        super().__post_init__()
        if any(entry.name == SHORTCUT for entry in self.entries):
            bound = "another name for a layer of the branch"
            raise InvalidValueError("name", SHORTCUT, bound, "rows of the shortcut have it")

    @cached_property
    def parts(self) -> tuple[Entry, ...]:
        """The branch, the shortcut and their sum."""
        branch, total = _fed(self.entries), Sum(self.scale, self.skip)
        if self.shortcut is None:
            return branch, Entry(total, (0, 1))
        return branch, _fed(self.shortcut, SHORTCUT), Entry(total, (2, 1))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """See Container. Layers of the branch are named as if they were parts themselves; the sum
        has the name of the residual."""
        return ("", "") if self.shortcut is None else ("", SHORTCUT, "")

    def evaluated(self) -> Self:
        """See Layer."""
        shortcut = None if self.shortcut is None else evaluated(self.shortcut)
        return replace(self, entries=evaluated(self.entries), shortcut=shortcut)

    def grown(self, steps: Sequence[Step]) -> tuple[Signal, float] | None:
        """See Container: the branch, where the shortcut is the input itself, as it is."""
        if self.shortcut is not None or self.skip != 1.0:
            return None
        return steps[-1].inputs[1], self.scale

    def turned(self, knob: str, value: Any) -> Self | None:
        """See Layer. A knob of the layers within turns all that have it."""
        changes: dict[str, Any] = {knob: value} if knob in ("scale", "skip") else {}
        for name in ("entries", "shortcut"):
            own = getattr(self, name)
            turned = None if own is None or knob == "times" else Block(own).turned(knob, value)
            if turned is not None:
                changes[name] = turned.entries
        return replace(self, **changes) if changes else None


def _fed(entries: tuple[Entry, ...], name: str = "") -> Entry:
    """Return layers that start from the input of the residual, and from what it starts from
    beside."""
    block = Block(entries)
    return Entry(block, (0, *range(-1, -1 - block.outer, -1)), name)


@dataclass(frozen=True)
class Sum(Layer):
    """skip·x + scale·y: the sum at the end of a residual."""

    kind: ClassVar[str] = "residual"
    per_position: ClassVar[bool] = True
    arrays: ClassVar[int] = 1

    scale: float
    skip: float

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError for a branch of another shape than the shortcut."""
        shortcut, branch = inputs
        if branch != shortcut:
            bound = f"{shortcut}, as the shortcut is"
            remedy = ""
            if branch.grid == shortcut.grid:
                remedy = (
                    f"end the branch with {shortcut.channels} channels, or give a shortcut that has"
                    f" {branch.channels}"
                )
            raise InvalidValueError("shape of the branch", str(branch), bound, remedy)
        return shortcut

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        return sum_of(inputs, (self.skip, self.scale))

    def between(self, steps: Sequence[Step], inputs: Sequence[FloatArray]) -> FloatArray:
        """See Layer."""
        return sum_between(steps, inputs, (self.skip, self.scale))

    def spread(self, step: Step, inputs: Sequence[Spread]) -> Spread | NoTheory:
        """See Layer."""
        return after_sum(step, inputs, (self.skip, self.scale))

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:  # noqa: ARG002
        """See Layer."""
        first, second = inputs
        scale, skip = self.scale, self.skip
        if skip == 1.0:
            return Pass(first + scale * second, lambda slope: (slope, scale * slope))
        return Pass(skip * first + scale * second, lambda slope: (skip * slope, scale * slope))
