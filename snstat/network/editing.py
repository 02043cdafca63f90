"""Networks as their files write them, and what they are with some keys changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

from snstat.errors import SnstatError
from snstat.layers.entry import Entry, holds_layers
from snstat.layers.keys import INPUT, INPUTS, KIND, LAYERS, WHEN, keys_of
from snstat.layers.layer import Layer
from snstat.layers.registry import kind
from snstat.network.network import Network
from snstat.network.parameters import evaluated, parameters_of
from snstat.network.reading import DEFAULTS, EITHER, PARAMETERS
from snstat.network.written import Written
from snstat.values.arithmetic import Parameter

# The keys and places in lists that lead to a table of plain data.
Path = tuple[str | int, ...]


class Place(NamedTuple):
    """A layer as its file writes it: its name, without the numbers of repetitions ("body.ffn"), the
    layer, its own keys, and where they stand. Without a name it is called by its number in the
    list, in which layers count that are left out."""

    name: str
    layer: Layer
    table: Mapping[str, Any]
    path: Path


class Keyed(NamedTuple):
    """An edit: the value of a key in the table at a path, None for none."""

    path: Path
    key: str
    value: Any


class Inserted(NamedTuple):
    """An edit: one more table in the list at a path, before the one with that number."""

    path: Path
    number: int
    table: Mapping[str, Any]


Edit = Keyed | Inserted


@dataclass(frozen=True)
class Draft:
    """A network, and what is `written` that describes it."""

    network: Network
    written: Written

    @classmethod
    def of(cls, network: Network, written: Written | None = None) -> Draft:
        """Return the draft of a network: what it was read from if it is still that network, else
        its own plain data, in which defaults and parameters stand for themselves."""
        if written is not None:
            draft = cls(network, written)
            with suppress(SnstatError):  # plain data that have changed since
                if draft.read() == network:
                    return draft
        return cls(network, Written(network.form()))

    @cached_property
    def places(self) -> Mapping[str, Place]:
        """Everything that the file lists, by name, containers before what they hold."""
        entries, values = self.network.block.entries, self.parameters
        held = _places(self.written.form[LAYERS], entries, "", (LAYERS,), values)
        return {place.name: place for place in held}

    @cached_property
    def defaults(self) -> Mapping[str, Path]:
        """Where the defaults of each kind stand that has any."""
        return {kind(name).kind: (DEFAULTS, name) for name in self.written.form.get(DEFAULTS, {})}

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """The values of the parameters."""
        return parameters_of(self.written.form.get(PARAMETERS, {}), self.written.changes)

    def path(self, name: str) -> Path:
        """Return where a layer, or the input, stands."""
        return (INPUT,) if name == INPUT else self.places[name].path

    def home(self, name: str, key: str) -> Path | None:
        """Return where a layer, or the input, has a key from, or one that excludes it: its own
        table or the defaults of its kind; None for neither."""
        if name == INPUT:
            return (INPUT,)
        place, either = self.places[name], {key, EITHER.get(key)}
        if either & place.table.keys():
            return place.path
        path = self.defaults.get(place.layer.kind)
        return path if path is not None and either & self.table(path).keys() else None

    def table(self, path: Path) -> Any:
        """Return the table, or the list, at a path."""
        return _at(self.written.form, path)

    def read(
        self,
        edits: Sequence[Edit] = (),
        parameters: Mapping[str, Parameter] = MappingProxyType({}),
    ) -> Network:
        """Return the network after edits, with other values of some parameters. Raises SnstatError
        where there is no such network."""
        form = self.written.form
        if edits:
            form = _copied(form)
            for keyed in (edit for edit in edits if isinstance(edit, Keyed)):
                table = _at(form, keyed.path)
                table.pop(keyed.key, None)
                if keyed.value is not None:
                    table[keyed.key] = keyed.value
            more = [edit for edit in edits if isinstance(edit, Inserted)]
            # From the last on, so that those before keep their numbers.
            for one in sorted(more, key=lambda edit: (*edit.path, edit.number), reverse=True):
                _at(form, one.path).insert(one.number, dict(one.table))
        changes = {**self.written.changes, **parameters}
        return Network.read(form, set=changes, name=self.network.name)


def counted_from(
    tables: Iterable[Mapping[str, Any]], first: int, keys: Iterable[str] = (INPUT, INPUTS)
) -> bool:
    """Return whether layers of a list, or within them, start from others of it by a number from
    `first` on, which means other layers once one is put before them. Under `keys` they name those
    of their own list."""
    for table in tables:
        named = [table[key] for key in (*keys, kind(table[KIND]).second) if key in table]
        names = [name for own in named for name in ([own] if isinstance(own, str) else own)]
        if any(name.isdecimal() and int(name) >= first for name in names):
            return True
        if any(counted_from(held, first, ()) for _, _, held in _held(table)):
            return True
    return False


def _held(table: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield the keys of a layer that hold layers, their fields, and the layers as they are
    written."""
    for key, own in keys_of(kind(table[KIND])).items():
        if holds_layers(own) and key in table:
            yield key, own.field, table[key]


def _places(
    tables: Any,
    entries: tuple[Entry, ...],
    before: str,
    path: Path,
    values: Mapping[str, Parameter],
) -> Iterator[Place]:
    """Yield the layers of a list at a path, whose names begin with what is `before` them, but for
    those that are left out with these `values` of the parameters."""
    there = [own for own in enumerate(tables) if evaluated(WHEN, own[1].get(WHEN, 1), values)]
    for (number, table), entry in zip(there, entries, strict=True):
        name, here = f"{before}{entry.name or number}", (*path, number)
        yield Place(name, entry.layer, table, here)
        for key, own, held in _held(table):
            inner = f"{name}." if key == LAYERS else f"{name}.{key}."
            yield from _places(held, getattr(entry.layer, own), inner, (*here, key), values)


def _at(form: Any, path: Path) -> Any:
    for step in path:
        form = form[step]
    return form


def _copied(form: Any) -> Any:
    if isinstance(form, Mapping):
        return {key: _copied(value) for key, value in form.items()}
    return [_copied(value) for value in form] if isinstance(form, list | tuple) else form
