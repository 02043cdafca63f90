"""Networks of any layers, and the uniform stack as one of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from snstat.disk.atomic import whole_file
from snstat.disk.toml_file import TomlFile
from snstat.errors import (
    InputFileError,
    InvalidValueError,
    LayerError,
    NetworkFormError,
    printable,
)
from snstat.layers.block import Block
from snstat.layers.container import Container
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry, require_layer
from snstat.layers.initialisers import PLAIN
from snstat.layers.layer import Layer
from snstat.layers.options import defaults
from snstat.layers.shape import Shape
from snstat.limits import MAX_DEPTH
from snstat.network.input_law import InputLaw
from snstat.network.located import in_form
from snstat.network.reading import Parts, read_parts
from snstat.network.rows import Row, rows_of
from snstat.network.stack import Stack
from snstat.network.widths import MAX_RUNS, joined
from snstat.network.writing import form_of, text_of
from snstat.network.written import Written
from snstat.values import integer
from snstat.values.kinds import require_printable

_NONE: Mapping[str, Any] = MappingProxyType({})
MOST_OF_A_NAME = 100
# How the names of network files end.
SUFFIX = ".toml"
# What to do about a file that is too large.
LARGE = "a network file is short: repeat layers with times"
# Repetitions and layers that are looked at to find out whether a network is a stack.
_MOST_RUNS = 100_000


@dataclass(frozen=True, slots=True)
class Network:
    """A block of layers and the shape of its input, with the law of inputs that are drawn, and a
    name.

    The shape may be given as a number of channels, and the block as any layer. Tokens
    (`Shape.of_tokens`) are drawn uniformly and have no other law. Raises LayerError
    with the path of a layer that its input does not fit, and InvalidValueError for more than 10⁹
    layers. `written` is what it was read from.
    """

    input: Shape
    block: Block
    law: InputLaw = field(default_factory=InputLaw)
    name: str = ""
    written: Written | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Validate the name, the number of layers and their shapes."""
        shape: Any = self.input
        layer: Any = self.block
        if not isinstance(shape, Shape):
            object.__setattr__(self, "input", Shape(shape))
        require_layer("block", layer)
        if not isinstance(layer, Block):
            object.__setattr__(self, "block", Block((Entry(layer),)))
        if not isinstance(self.name, str):
            raise InvalidValueError("name", self.name, "text")
        if self.name:
            require_printable("name", self.name)
        if self.input.tokens and self.law != InputLaw():
            raise InvalidValueError("law", self.law, "left out beside tokens, which are uniform")
        if self.depth > MAX_DEPTH:
            raise InvalidValueError("layers", self.depth, f"at most {MAX_DEPTH:,}")
        self.block.shape([self.input])

    @classmethod
    def of(cls, stack: Stack) -> Network:
        """Return the network of a uniform stack."""
        return cls(Shape(stack.input_width), Block(tuple(_entries(stack))))

    @classmethod
    def read(
        cls,
        form: Mapping[str, Any],
        *,
        set: Mapping[str, Any] = _NONE,  # noqa: A002  # as the command line calls it
        name: str = "",
    ) -> Self:
        """Return the network that plain data describe, as TOML and JSON hold them.

        `set` changes parameters that `form` declares; `name` is that of a network without one.
        Raises NetworkFormError with the path in `form` of a kind, key, name or value that no
        network has, and of a layer that its input does not fit, and InvalidValueError as the class
        does.
        """
        return cls._of(Written(form, dict(set)), name)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        set: Mapping[str, Any] = _NONE,  # noqa: A002  # as above
    ) -> Self:
        """Return the network of the TOML file at `path`, named as the file is if it has no name.

        See `read`. Raises InputFileError for a file that cannot be read or describes no network.
        """
        root = TomlFile.read(path, LARGE).root
        try:
            written = Written(root, dict(set), file=True)
            return cls._of(written, printable(Path(path).stem, MOST_OF_A_NAME))
        except (NetworkFormError, InvalidValueError) as error:
            raise InputFileError(path, str(error)) from None

    @classmethod
    def _of(cls, written: Written, name: str) -> Self:
        parts = read_parts(written.form, written.changes, name)
        try:
            return cls(parts.input, parts.block, parts.law, parts.name, written)
        except LayerError as error:
            raise in_form(parts.block, error) from None

    def form(self) -> dict[str, Any]:
        """Return the plain data that `read` takes. Defaults are left out, and so are parameters:
        values stand in their places. Raises InvalidValueError for more layers, or deeper ones, than
        a file may hold."""
        return form_of(self._parts)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network as TOML, which `load` reads back equal. The file is written whole or
        not at all. Raises InvalidValueError for a file whose name does not end in .toml, by which
        commands know networks, OutputFileError, and as `form`."""
        name = os.fsdecode(path)
        if not name.lower().endswith(SUFFIX):
            remedy = "JSON of network.form() is for Network.read" if name.endswith(".json") else ""
            raise InvalidValueError("path", name, f"a file whose name ends in {SUFFIX}", remedy)
        text = text_of(self._parts)
        with whole_file(path) as file:
            file.write(text)

    @property
    def _parts(self) -> Parts:
        return Parts(self.name, self.input, self.law, self.block)

    @property
    def depth(self) -> int:
        """The number of layers."""
        return self.block.count

    @property
    def parameters(self) -> int:
        """The number of weights and biases of all layers."""
        return self.block.parameters([self.input])

    def shape_after(self, number: int) -> Shape:
        """Return the shape of one sample after a layer, 0 for the input."""
        return next(self.rows([number])).after if number else self.input

    def rows(self, numbers: Sequence[int] | None = None) -> Iterator[Row]:
        """Yield every layer in order, or those of the `numbers` given, which ascend from 1; nothing
        is unrolled in memory. Raises InvalidValueError for numbers of no layer, and for ones that
        do not ascend."""
        if numbers is None:
            return rows_of(self.block, self.input, range(1, self.depth + 1))
        before, depth = 1, self.depth
        for given in numbers:
            number = integer("number of a layer", given, 1, depth)
            if number < before:
                bound = f"at least {before:,}, which is given before it"
                raise InvalidValueError("number of a layer", number, bound, "sort the numbers")
            before = number
        return rows_of(self.block, self.input, numbers)

    def turned(self, knob: str, value: Any) -> Self | None:
        """Return this network with an option of its layers set, None if no layer has it."""
        block = self.block.turned(knob, value)
        return None if block is None else replace(self, block=block)

    def uniform(self) -> Stack | None:
        """Return the stack that this network is: dense layers that are drawn alike, of which only
        the last may have another activation. None if it is another network."""
        found = list(islice(_runs(self.block), _MOST_RUNS + 1))
        dense = [(layer, times) for layer, times in found if isinstance(layer, Dense)]
        if self.input.grid or len(dense) < len(found) or len(found) > _MOST_RUNS:
            return None
        if any(layer.weights != PLAIN for layer, _ in dense):
            return None
        names = [layer.activation_name for layer, _ in dense]
        ends = dense[-1][1] == 1 and len(dense) > 1
        if len({*names[:-1]} if ends else {*names}) > 1 or len({_drawn(d) for d, _ in dense}) > 1:
            return None
        runs = joined((layer.width, times) for layer, times in dense)
        if len(runs) > MAX_RUNS:
            return None
        init, gain, weight_std, bias_std = _drawn(dense[0][0])
        return Stack(
            names[0],
            0,
            0,
            self.input.channels,
            init,
            gain,
            bias_std,
            last=names[-1],
            weight_std=weight_std,
            own_gain=gain is not None and dense[0][0].weight_gain is None,
        ).of_runs(runs)


def _entries(stack: Stack) -> Iterator[Entry]:
    """Yield the layers of a stack, with runs of equal ones as blocks."""
    runs = stack.runs or ((stack.width, stack.depth),)
    width, times = runs[-1]
    ends = ((width, times),) if stack.last is None else ((width, times - 1),)
    for units, count in (*runs[:-1], *ends):
        if count > 0:
            entry = Entry(_dense(stack, units, stack.activation))
            yield entry if count == 1 else Entry(Block((entry,), count))
    if stack.last is not None:
        yield Entry(_dense(stack, width, stack.last))


def _dense(stack: Stack, width: int, activation: str) -> Dense:
    init, gain = stack.init, stack.weight_gain
    if stack.own_gain and defaults(activation, None, None, None) == (init, gain):
        return Dense(width, activation, bias_std=stack.bias_std)
    return Dense(
        width,
        activation,
        init=init,
        weight_gain=gain,
        weight_std=stack.weight_std,
        bias_std=stack.bias_std,
    )


def _drawn(layer: Dense) -> tuple[str, float | None, float | None, float | None]:
    """Return initialiser, gain and standard deviation of the weights, and that of the biases."""
    init, gain = defaults(layer.activation_name, layer.init, layer.weight_gain, layer.weight_std)
    return init, gain, layer.weight_std, layer.bias_std


def _runs(layer: Layer) -> Iterator[tuple[Layer, int]]:
    """Yield the layers that follow each other, with their repetitions. A container in which a
    layer does not start from the one before is one of them."""
    if not isinstance(layer, Container):
        yield layer, 1
        return
    if any(entry.inputs not in ((), (place,)) for place, entry in enumerate(layer.parts)):
        yield layer, layer.repetitions
        return
    turns = layer.repetitions
    if len(layer.parts) == 1:
        runs = _runs(layer.parts[0].layer)
        first = list(islice(runs, 2))
        if len(first) == 1:
            ((only, times),) = first
            yield only, times * turns
            return
        # The first turn, not walked again: with nested blocks that would double at each.
        yield from chain(first, runs)
        turns -= 1
    for _ in range(turns):
        for entry in layer.parts:
            yield from _runs(entry.layer)
