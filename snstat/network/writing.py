"""The parts of a network as plain data, and as TOML."""

from __future__ import annotations

from typing import Any

from snstat.disk.toml_file import MAX_BYTES
from snstat.disk.toml_text import toml_table
from snstat.errors import InvalidValueError
from snstat.layers.container import Container
from snstat.layers.entry import Entry, holds_layers
from snstat.layers.keys import INPUT, INPUTS, KIND, LAYERS, NAME, PREVIOUS, keys_of
from snstat.layers.layer import Layer
from snstat.network.input_law import InputLaw
from snstat.network.reading import CHANNELS, GRID, MOST_NESTED, MOST_WRITTEN, TOKENS, Parts
from snstat.values.option import options_of


def form_of(parts: Parts) -> dict[str, Any]:
    """Return the form that `reading.read_parts` reads, without defaults and parameters.

    Raises InvalidValueError for more than `MOST_WRITTEN` layers or deeper than `MOST_NESTED`.
    """
    own = InputLaw()
    law = {key: getattr(parts.law, key) for key in options_of(InputLaw)}
    changed = {key: value for key, value in law.items() if value != getattr(own, key)}
    count = {TOKENS: parts.input.tokens} if parts.input.tokens else {CHANNELS: parts.input.channels}
    shape = count | {GRID: list(parts.input.grid)}
    return {NAME: parts.name, INPUT: shape | changed} | _Writer().keys(parts.block, 0, ())


def text_of(parts: Parts) -> str:
    """Return the TOML of a network. Raises InvalidValueError as `form_of`, and for a text that is
    longer than a file may be."""
    form = form_of(parts)
    layers = form.pop(LAYERS)
    tables = (f"\n[[{LAYERS}]]\n{toml_table(layer)}" for layer in layers)
    text = toml_table(form) + "".join(tables)
    if len(text.encode()) > MAX_BYTES:
        bound = f"at most {MAX_BYTES:,} bytes, or it could not be read again"
        remedy = "repeat layers with times"
        raise InvalidValueError("file of the network", f"{len(text):,} bytes", bound, remedy)
    return text


# The containers around a layer, from the outermost on, and its own: entries, and the place of what
# is looked at among them.
Around = tuple[tuple[tuple[Entry, ...], int], ...]


class _Writer:
    """A writer of layers, which counts them."""

    def __init__(self) -> None:
        self.written = 0

    def keys(self, layer: Layer, depth: int, around: Around) -> dict[str, Any]:
        """Return the keys of a layer that are no defaults, the layers that it holds last."""
        plain: dict[str, Any] = {}
        held: dict[str, Any] = {}
        for key, own in keys_of(type(layer)).items():
            value = getattr(layer, own.field)
            if value == own.default:
                continue
            if holds_layers(own):
                held[key] = self.entries(value, depth + 1, around)
            else:
                plain[key] = list(value) if isinstance(value, tuple) else value
        return plain | held

    def entries(
        self, entries: tuple[Entry, ...], depth: int, around: Around
    ) -> list[dict[str, Any]]:
        """Return the layers of a container, which is in the containers `around`."""
        self.written += len(entries)
        for what, count, most in (
            ("layers written one by one", self.written, MOST_WRITTEN),
            ("depth to which layers are nested", depth, MOST_NESTED),
        ):
            if count > most:
                raise InvalidValueError(what, count, f"at most {most:,}, or no file can hold them")
        found = []
        for place, entry in enumerate(entries):
            form = {KIND: entry.layer.kind}
            if entry.name:
                form[NAME] = entry.name
            here = (*around, (entries, place))
            form |= _sources(here)
            found.append(form | self.keys(entry.layer, depth, here))
        return found


def _sources(here: Around) -> dict[str, Any]:
    """Return what says where the layer `here` starts from, nothing for the layer before."""
    entries, place = here[-1]
    layer, numbers = entries[place].layer, entries[place].inputs
    if isinstance(layer, Container) and layer.outer:
        # Layers within say what they read outside.
        numbers = () if numbers[0] == place else numbers[:1]
    second = layer.second
    if len(numbers) == 2 and second and numbers[1] < 0:
        first = {} if numbers[0] == place else {INPUT: _source(entries, place, numbers[0])}
        return first | {second: _name_outside(here, numbers[1])}
    if any(number < 0 for number in numbers):
        key = f"inputs of layer {place}"
        raise InvalidValueError(key, min(numbers), "layers of the same container in a file")
    names = [_source(entries, place, number) for number in numbers]
    if len(names) == 1:
        return {INPUT: names[0]}
    if second and names:
        first = {} if numbers[0] == place else {INPUT: names[0]}
        return first | {second: names[1]}
    return {INPUTS: names} if names else {}


def _name_outside(here: Around, number: int) -> str:
    """Return the name of a layer outside. Raises InvalidValueError for one without a name that
    means the same there."""
    *around, (entries, place) = here
    nearer = {entry.name for entry in entries[:place]}
    while number < 0:
        *around, (entries, place) = around
        number = entries[place].inputs[-number]
        if number < 0:
            nearer |= {entry.name for entry in entries[:place]}
    name = entries[number - 1].name if number else INPUT
    if not name or name in {*nearer, INPUT}:
        bound = "a layer with a name that no layer nearer to it has"
        raise InvalidValueError("layer read from outside", name or number - 1, bound)
    return name


def _source(entries: tuple[Entry, ...], place: int, number: int) -> str:
    if number == 0:
        return INPUT
    return PREVIOUS if number == place else entries[number - 1].name or str(number - 1)
