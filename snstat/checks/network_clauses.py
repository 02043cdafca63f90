"""Changes of a network's file: what each edits, and how it is said in the words of that file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snstat.errors import SnstatError
from snstat.layers.block import Block
from snstat.layers.keys import INPUT, KIND, LAYERS
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.options import WeightOptions
from snstat.layers.residual_block import Residual
from snstat.network.editing import Draft, Edit, Inserted, Keyed, Path
from snstat.network.network import Network
from snstat.network.parameters import MARK
from snstat.network.reading import DEFAULTS, EITHER
from snstat.values.arithmetic import Parameter
from snstat.values.names import listed

# Layers are listed by name up to so many.
MOST_NAMED = 3
# The keys that say how weights are drawn.
OF_WEIGHTS = ("init", "weight_gain", "weight_std")
NORM = {KIND: LayerNorm.kind}
NORM_TEXT = f'{{ {KIND} = "{LayerNorm.kind}" }}'


class Clause(ABC):
    """One change of a file."""

    @abstractmethod
    def edits(self, draft: Draft) -> Iterator[Edit]:
        """Yield what it changes."""

    @abstractmethod
    def words(self, draft: Draft) -> str:
        """Return it in words."""

    def turned(self, draft: Draft) -> Iterator[tuple[Any, Parameter]]:  # noqa: ARG002
        """Yield the values that the file has where others take their places, and these; nothing
        where it does more than that."""
        return iter(())


@dataclass(frozen=True)
class Change:
    """A changed network, and the clauses that lead to it."""

    draft: Draft
    clauses: tuple[Clause, ...]
    network: Network

    @property
    def words(self) -> str:
        """What to do to the file, or to its parameters where these alone do it."""
        parameters = self._parameters()
        if parameters:
            before = self.draft.parameters
            found = [f"--set {p}={_text(v)} (now {_text(before[p])})" for p, v in parameters]
            return f"use {' and '.join(found)}"
        return " and ".join(clause.words(self.draft) for clause in self.clauses)

    def _parameters(self) -> Sequence[tuple[str, Parameter]]:
        """Return the parameters with which the network is the changed one, and their values: one
        if one is enough, none if they change anything else."""
        wanted: dict[str, Parameter] = {}
        for clause in self.clauses:
            for raw, value in clause.turned(self.draft):
                name = raw.removeprefix(MARK).strip() if isinstance(raw, str) else ""
                if raw != name and name in self.draft.parameters:
                    wanted.setdefault(name, value)
        tried = [*([pair] for pair in wanted.items()), [*wanted.items()]]
        return next((found for found in tried if found and self._reached(dict(found))), ())

    def _reached(self, parameters: Mapping[str, Parameter]) -> bool:
        try:
            return self.draft.read(parameters=parameters) == self.network
        except SnstatError:  # a value that is none for another layer
            return False


def tried(draft: Draft, *clauses: Clause) -> Iterator[Change]:
    """Yield the network after all `clauses`, if there is such a one and it is another one."""
    edits = [edit for clause in clauses for edit in clause.edits(draft)]
    try:
        found = draft.read(edits)
    except SnstatError:  # layers that do not fit each other, or a value that one cannot have
        return
    if found != draft.network:
        yield Change(draft, clauses, found)


class _Spots:
    """Where a file is changed to give layers another value of a key: in the tables of the layers
    that are its `own`, or have it from nowhere; in the `defaults` of kinds, where all layers that
    have it from there are among them; and in the tables of others, who have it `borrowed`."""

    def __init__(self, draft: Draft, key: str, names: Sequence[str]) -> None:
        self.own, self.borrowed = list[str](), list[str]()
        homes = {name: draft.home(name, key) for name in names}
        spared = {
            draft.home(name, key)
            for name, place in draft.places.items()
            if name not in homes and place.layer.kind in draft.defaults
        }
        self.defaults = list[Path]()
        for name, home in homes.items():
            if home is None or home[0] != DEFAULTS:
                self.own.append(name)
            elif home in spared:
                self.borrowed.append(name)
            elif home not in self.defaults:
                self.defaults.append(home)

    def words(self, draft: Draft, *, borrowed: bool = True) -> str:
        """Return the places in words: "dense layer 0 and of dense in [defaults]"."""
        written = {*self.own, *(self.borrowed if borrowed else ())}
        names = [name for name in (INPUT, *draft.places) if name in written]
        parts = [which(draft, names)] if names else []
        return " and of ".join(parts + [in_defaults([path]) for path in self.defaults])

    def paths(self, draft: Draft) -> Iterator[Path]:
        """Yield the tables."""
        for name in (*self.own, *self.borrowed):
            yield draft.path(name)
        yield from self.defaults


@dataclass(frozen=True)
class Set(Clause):
    """The value of a key of some layers, of which `now` says what they have."""

    key: str
    names: Sequence[str]
    value: Parameter
    now: str

    def edits(self, draft: Draft) -> Iterator[Edit]:
        """See Clause."""
        for path in _Spots(draft, self.key, self.names).paths(draft):
            yield Keyed(path, self.key, self.value)
            if self.key in EITHER:
                yield Keyed(path, EITHER[self.key], None)

    def words(self, draft: Draft) -> str:
        """See Clause."""
        spots = _Spots(draft, self.key, self.names)
        source = f" from [{DEFAULTS}]" if spots.borrowed and not spots.own else ""
        what = f'"{self.key}" of {spots.words(draft)}'
        return f"set {what} to {_text(self.value)} (now {self.now}{source})"

    def turned(self, draft: Draft) -> Iterator[tuple[Any, Parameter]]:
        """See Clause."""
        for name in self.names:
            home = draft.home(name, self.key)
            if home is not None:
                yield draft.table(home).get(self.key), self.value


@dataclass(frozen=True)
class Multiply(Clause):
    """A multiple of the whole numbers that layers, and the input, have under a key."""

    names: Mapping[str, Mapping[str, int]]  # by key, and then the numbers by name
    factor: int

    def edits(self, draft: Draft) -> Iterator[Edit]:
        """See Clause."""
        for key, numbers in self.names.items():
            spots = _Spots(draft, key, [*numbers])
            for name in (*spots.own, *spots.borrowed):
                yield Keyed(draft.path(name), key, self.factor * numbers[name])
            for path in spots.defaults:
                number = next(n for name, n in numbers.items() if draft.home(name, key) == path)
                yield Keyed(path, key, self.factor * number)

    def words(self, draft: Draft) -> str:
        """See Clause."""
        parts, others = [], []
        for key, numbers in self.names.items():
            spots = _Spots(draft, key, [*numbers])
            if spots.own or spots.defaults:
                parts.append(f'"{key}" of {spots.words(draft, borrowed=False)}')
            for now in sorted({numbers[name] for name in spots.borrowed}):
                names = [name for name in spots.borrowed if numbers[name] == now]
                what = f'"{key}" of {which(draft, names)} to {self.factor * now}'
                others.append(f"set {what} (now {now} from [{DEFAULTS}])")
        if parts:
            others.insert(0, f"multiply {' and '.join(parts)} by {self.factor}")
        return " and ".join(others)

    def turned(self, draft: Draft) -> Iterator[tuple[Any, Parameter]]:
        """See Clause."""
        for key, numbers in self.names.items():
            for name, number in numbers.items():
                home = draft.home(name, key)
                if home is not None:
                    yield draft.table(home)[key], self.factor * number


@dataclass(frozen=True)
class LeaveOut(Clause):
    """How weights are drawn, left out wherever it is said."""

    def edits(self, draft: Draft) -> Iterator[Edit]:
        """See Clause."""
        for path, keys in self._said(draft):
            for key in keys:
                yield Keyed(path, key, None)

    def words(self, draft: Draft) -> str:
        """See Clause."""
        names = {place.path: name for name, place in draft.places.items()}
        said, parts = dict(self._said(draft)), list[str]()
        keys_of = {key: ([p for p in said if key in said[p]]) for key in OF_WEIGHTS}
        for paths in dict.fromkeys(tuple(found) for found in keys_of.values() if found):
            own = [names[path] for path in paths if path in names]
            kinds = [path for path in paths if path not in names]
            where = [which(draft, own)] if own else []
            where += [in_defaults(kinds)] if kinds else []
            keys = listed([f'"{key}"' for key, found in keys_of.items() if (*found,) == paths])
            parts.append(f"{keys} of {' and of '.join(where)}")
        return f"leave out {' and '.join(parts)}"

    def _said(self, draft: Draft) -> Iterator[tuple[Path, Sequence[str]]]:
        """Yield the tables that have any of the keys, and which of them."""
        weighted = [p for p in draft.places.values() if isinstance(p.layer, WeightOptions)]
        kinds = dict.fromkeys(place.layer.kind for place in weighted)
        paths = [place.path for place in weighted]
        for path in (*paths, *(draft.defaults[kind] for kind in kinds if kind in draft.defaults)):
            keys = [key for key in OF_WEIGHTS if key in draft.table(path)]
            if keys:
                yield path, keys


@dataclass(frozen=True)
class Begin(Clause):
    """A norm at the start of containers."""

    names: Sequence[str]

    def edits(self, draft: Draft) -> Iterator[Edit]:
        """See Clause."""
        for name in self.names:
            yield Inserted((*draft.places[name].path, LAYERS), 0, NORM)

    def words(self, draft: Draft) -> str:
        """See Clause."""
        branch = isinstance(draft.places[self.names[0]].layer, Residual)
        part = "the branch of " if branch else ""
        return f"begin {part}{which(draft, self.names)} with {NORM_TEXT}"


@dataclass(frozen=True)
class PutAfter(Clause):
    """A norm after layers."""

    names: Sequence[str]

    def edits(self, draft: Draft) -> Iterator[Edit]:
        """See Clause."""
        for name in self.names:
            *held, number = draft.places[name].path
            yield Inserted((*held,), int(number) + 1, NORM)

    def words(self, draft: Draft) -> str:
        """See Clause."""
        return f"put {NORM_TEXT} after {which(draft, self.names)}"


def which(draft: Draft, names: Sequence[str]) -> str:
    """Return layers in words: "residual body.0", "dense layers 0 and 1", "all 7 residuals", "all 5
    dense layers but the last"; "input" is itself."""
    if [*names] == [INPUT]:
        return INPUT
    kinds = {name: place.layer.kind for name, place in draft.places.items()}
    meant = sorted({kinds[name] for name in names})
    noun = listed([kind.replace("_", " ") for kind in meant])
    if not {Residual.kind, Block.kind} & {*meant}:
        noun += " layer"
    every = [name for name, kind in kinds.items() if kind in meant]
    if len(names) > MOST_NAMED and [*names] == every[: len(names)] and len(every) < len(names) + 2:
        but = " but the last" if len(names) < len(every) else ""
        return f"all {len(every):,} {noun}s{but}"
    return f"{noun}{'s' if len(names) > 1 else ''} {listed(names)}"


def in_defaults(paths: Iterable[Path]) -> str:
    """Return kinds of the defaults in words: "dense and conv in [defaults]"."""
    return f"{listed([str(name) for _, name in paths])} in [{DEFAULTS}]"


def _text(value: Parameter) -> str:
    return value if isinstance(value, str) else f"{value:.10g}"
