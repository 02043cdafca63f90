"""Plain data, as TOML and JSON hold them, read as the parts of a network."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, cast

from snstat.errors import InvalidValueError, NetworkFormError, UnknownNameError, quoted
from snstat.layers.block import Block
from snstat.layers.entry import Entry, holds_layers
from snstat.layers.keys import (
    INPUT,
    INPUTS,
    KIND,
    LAYERS,
    NAME,
    NAME_WORDS,
    OF_EVERY_LAYER,
    PREVIOUS,
    WHEN,
    keys_of,
    require_names,
)
from snstat.layers.layer import Layer
from snstat.layers.registry import kind
from snstat.layers.shape import Shape
from snstat.limits import MAX_DEPTH, MAX_WIDTH
from snstat.network.input_law import InputLaw
from snstat.network.parameters import MARK, evaluated, parameters_of
from snstat.network.places import At, require_known, table_of
from snstat.network.scopes import Scope
from snstat.values.arithmetic import Parameter, computed
from snstat.values.kinds import Kind, Whole, require_printable
from snstat.values.option import options_of

# Containers within each other, and layers as they are written, repetitions left out.
MOST_NESTED, MOST_WRITTEN = 64, 10**5
PARAMETERS, DEFAULTS, TIMES = "parameters", "defaults", "times"
CHANNELS, TOKENS, GRID = "channels", "tokens", "grid"
_ROOT = (NAME, INPUT, PARAMETERS, DEFAULTS, LAYERS, TIMES)
_SIZE = Whole(1, MAX_WIDTH)
# A layer has one of these: its own replaces the other one of the defaults.
EITHER = {"weight_gain": "weight_std", "weight_std": "weight_gain"}


class Parts(NamedTuple):
    """What a network is made of."""

    name: str
    input: Shape
    law: InputLaw
    block: Block


def read_parts(form: Mapping[str, Any], changes: Mapping[str, Any], name: str) -> Parts:
    """Return the parts of the network that `form` describes, with `changes` of its parameters, and
    called `name` if it says no other name.

    Raises NetworkFormError with the path in `form` of what is wrong.
    """
    root = table_of("", form)
    require_known("", root, _ROOT)
    declared = table_of(PARAMETERS, root.get(PARAMETERS, {}))
    with At(PARAMETERS):
        reader = _Reader(parameters_of(declared, changes))
    name = root.get(NAME, name)
    with At(""):
        name = name if name == "" else _text(name)
    shape, law = reader.input(root)
    reader.read_defaults(table_of(DEFAULTS, root.get(DEFAULTS, {})))
    given = {key: root[key] for key in (LAYERS, TIMES) if key in root}
    block = cast("Block", reader.layer("", Block, given, 0, None))
    return Parts(name, shape, law, block)


class _Reader:
    """A reader of layers, which knows parameters and defaults and counts what is written."""

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        self.parameters = parameters
        self.defaults: dict[str, Mapping[str, Any]] = {}
        self.written = 0

    def input(self, root: Mapping[str, Any]) -> tuple[Shape, InputLaw]:
        """Return shape and law of the network's input."""
        table, laws = table_of(INPUT, root.get(INPUT, {})), options_of(InputLaw)
        require_known(INPUT, table, (CHANNELS, TOKENS, GRID, *laws))
        if CHANNELS not in table and TOKENS not in table:
            raise NetworkFormError(INPUT, f"no {CHANNELS}; write input = {{ channels = 512 }}")
        with At(INPUT):
            what = TOKENS if TOKENS in table else CHANNELS
            for key in (CHANNELS, *laws):
                if what == TOKENS and key in table:
                    raise InvalidValueError(key, table[key], f"left out beside {TOKENS}")
            size = self.value(what, table[what], _SIZE)
            sizes = evaluated(GRID, table.get(GRID, []), self.parameters)
            if not isinstance(sizes, list):
                raise InvalidValueError(GRID, sizes, "a list of sizes: [], [128] or [28, 28]")
            grid = tuple(_SIZE.plain(GRID, size) for size in sizes)
            given = {key: own for key, own in laws.items() if key in table}
            values = {
                key: self.value(key, table[key], option.kind) for key, option in given.items()
            }
            shape = Shape.of_tokens(size, grid) if what == TOKENS else Shape(size, grid)
        return shape, InputLaw(**values)

    def read_defaults(self, tables: Mapping[str, Any]) -> None:
        """Read the keys of all layers of a kind; those that no layer takes are validated too."""
        for name, form in tables.items():
            found = _kind(DEFAULTS, name)
            path = f"{DEFAULTS}.{found.kind}"
            if found.kind in self.defaults:
                raise NetworkFormError(path, f"is given twice, as {quoted(name)} too")
            keys = {key: own for key, own in keys_of(found).items() if not holds_layers(own)}
            table = table_of(path, form)
            require_known(path, table, keys)
            with At(path):
                self.defaults[found.kind] = {
                    key: self.value(key, value, keys[key].option.kind)
                    for key, value in table.items()
                }

    def layer(
        self,
        path: str,
        found: type[Layer],
        given: Mapping[str, Any],
        depth: int,
        within: Scope | None,
    ) -> Layer:
        """Return the layer of a kind with the keys that are `given`, and those by default. Layers
        that it holds are `within` it; a key that holds layers has names of its own."""
        keys = keys_of(found)
        require_known(path, given, keys)
        replaced = {EITHER.get(key) for key in given}
        default = self.defaults.get(found.kind, {}) if path else {}
        table = {key: value for key, value in default.items() if key not in replaced} | {**given}
        fields: dict[str, Any] = {}
        for key, own in keys.items():
            if key not in table:
                if own.required:
                    what = found.kind if path else "network"
                    raise NetworkFormError(path, f"no {key}, which every {what} has")
            elif holds_layers(own):
                inner = f"{path}.{key}" if path else key
                scope = Scope() if within is None else replace(within, numbers={INPUT: 0})
                entries = self.entries(inner, table[key], depth + 1, scope)
                if entries or own.required:
                    fields[own.field] = entries
            else:
                with At(path):
                    fields[own.field] = self.value(key, table[key], own.option.kind)
        with At(path):
            layer = found(**fields)
            if path and layer.count > MAX_DEPTH:
                raise InvalidValueError(
                    LAYERS, layer.count, f"at most {MAX_DEPTH:,}", "lower times"
                )
            return layer

    def entries(self, path: str, forms: Any, depth: int, scope: Scope) -> tuple[Entry, ...]:
        """Return the entries that a container holds under one key, whose names are in `scope`.

        The names of a layer that is left out, and "previous" after it, are those of the layer that
        it starts from. There are no entries if all are left out.
        """
        if not isinstance(forms, list | tuple) or not forms:
            raise NetworkFormError(path, f"{quoted(forms)} is no list of layers, one or more")
        if depth > MOST_NESTED:
            raise NetworkFormError(path, f"layers are nested deeper than {MOST_NESTED}")
        self.written += len(forms)
        if self.written > MOST_WRITTEN:
            reason = f"more than {MOST_WRITTEN:,} layers are written; repeat them with times"
            raise NetworkFormError(path, reason)
        found: list[Entry] = []
        numbers, last = scope.numbers, 0
        for place, form in enumerate(forms):
            here = f"{path}.{place}"
            table = table_of(here, form)
            if KIND not in table:
                raise NetworkFormError(here, f'no {KIND}; write for example {KIND} = "dense"')
            layers = _kind(here, table[KIND])
            here = f"{here}.{layers.kind}"
            sources = {*OF_EVERY_LAYER, layers.second}
            own = {key: value for key, value in table.items() if key not in sources}
            numbers[PREVIOUS] = last
            within = Scope(scope)
            layer = self.layer(here, layers, own, depth, within)
            with At(here):
                name = _name(table[NAME], numbers) if NAME in table else ""
                taken = len(scope.outside)
                before = _sources(table, scope, layers.second)
                if self.there(table, before):
                    outside = tuple(scope.number_of(*other) for other in within.outside)
                    if outside or (not before and last != len(found)):
                        before = (*(before or (last,)), *outside)
                    found.append(Entry(layer, before, name))
                    last = len(found)
                else:
                    del scope.outside[taken:]  # what this layer alone reads
                    last = before[0] if before else last
            numbers[name or str(place)] = last
        if last != len(found):
            reason = f"the last layer is left out ({WHEN}), and does not start from the one before"
            raise NetworkFormError(path, reason)
        return tuple(found)

    def there(self, table: Mapping[str, Any], before: tuple[int, ...]) -> bool:
        """Return whether a layer that starts from `before` is not left out. Raises
        InvalidValueError for a value of its key that says neither, and for a layer of several
        inputs, none of which can be in its place."""
        given = evaluated(WHEN, table.get(WHEN, True), self.parameters)
        if not isinstance(given, int) or given not in (0, 1):
            raise InvalidValueError(
                WHEN, given, "0 or false, which leave a layer out, or 1 or true"
            )
        if not given and INPUTS in table and len(before) > 1:
            bound = "1 for a layer of several inputs, none of which can be in its place"
            raise InvalidValueError(WHEN, given, bound)
        return given == 1

    def value(self, key: str, given: Any, kind: Kind) -> Any:
        """Return the value of a key, arithmetic evaluated."""
        plain = evaluated(key, given, self.parameters)
        try:
            return kind.plain(key, plain)
        except InvalidValueError as error:
            if error.remedy:
                raise
            remedy = f"it is the result of {quoted(given)}"
            if plain is given or plain == given:  # NaN is not equal to itself
                remedy = self._marked(key, given, kind)
            raise InvalidValueError(error.name, error.value, error.bound, remedy) from None

    def _marked(self, key: str, given: Any, kind: Kind) -> str:
        """Return what to write for a text that is arithmetic but for its mark, "" for another."""
        if not isinstance(given, str):
            return ""
        try:
            kind.plain(key, computed(key, given, self.parameters))
        except InvalidValueError:
            return ""
        return f'arithmetic begins with {MARK}: write "{MARK}{given.strip()}"'


def _kind(path: str, name: Any) -> type[Layer]:
    with At(path):
        return kind(name)


def _text(name: Any) -> str:
    if not isinstance(name, str):
        raise InvalidValueError(NAME, name, "text")
    require_printable(NAME, name)
    return name


def _name(name: Any, numbers: Mapping[str, int]) -> str:
    """Return the name of a layer; `numbers` has those that are taken."""
    if not isinstance(name, str):
        raise InvalidValueError(NAME, name, "text")
    if not name:
        raise InvalidValueError(NAME, name, NAME_WORDS, "leave it out for none")
    require_names((name, name) if name in numbers else (name,))
    return name


def _sources(table: Mapping[str, Any], scope: Scope, second: str) -> tuple[int, ...]:
    """Return the numbers of the layers that one starts from, () where it does not say. The key
    `second`, of kinds that have it, names the second one, which may be in a container around."""
    numbers = scope.numbers
    for key in (INPUT, second):
        if key in table and INPUTS in table:
            raise InvalidValueError(INPUTS, table[INPUTS], f"left out if {key} is given")
    if second in table:
        first = _source(INPUT, table.get(INPUT, PREVIOUS), numbers)
        name = table[second]
        number = scope.find(name) if isinstance(name, str) else None
        if number is None:
            bound = "a layer before it, in the same container or in one around it, by name"
            raise _unknown(second, name, scope.names(), bound)
        return first, number
    if INPUT in table:
        return (_source(INPUT, table[INPUT], numbers),)
    if INPUTS not in table:
        return ()
    names = table[INPUTS]
    if not isinstance(names, list | tuple) or not names:
        raise InvalidValueError(INPUTS, names, "a list of names of layers")
    return tuple(_source(INPUTS, name, numbers) for name in names)


def _source(key: str, name: Any, numbers: Mapping[str, int]) -> int:
    if not isinstance(name, str) or name not in numbers:
        bound = "a layer before it in the same container, by name or number, input or previous"
        raise _unknown(key, name, numbers, bound)
    return numbers[name]


def _unknown(key: str, name: Any, known: Collection[str], bound: str) -> InvalidValueError:
    error = UnknownNameError(key, name, known)
    return error if error.suggestions else InvalidValueError(key, name, bound)
