"""One cell of a sweep: what is run, the key it is known by, and what became of it.

Cells and outcomes are plain data that can be pickled, for engines of other packages.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from snstat import __version__
from snstat.errors import SnstatError
from snstat.network.run_settings import DEFAULT_BATCH, RunSettings
from snstat.network.settings import DEFAULT_DEPTH, DEFAULT_WIDTH
from snstat.results.sweep import SUBJECT
from snstat.sweeps.subject import FILES, MODULE, NETWORK, STACK, SweepSubject, content_of

if TYPE_CHECKING:
    from snstat.experiment.plans import AnyPlan
    from snstat.experiment.trace import TracePlan

SCHEMA = "snstat.sweep/1"
# Results of another minor version may differ, so it is a part of every key.
VERSION = ".".join(__version__.split(".")[:2])
_DIGITS = 16
# What an option is where nothing is said, beside what its declaration says.
_DEFAULTS = {"depth": DEFAULT_DEPTH, "width": DEFAULT_WIDTH}
_OF_DRAWN = {"batch": DEFAULT_BATCH, "inputs": "normal", "input_mean": 0.0, "input_std": 1.0}
ALL, LOG, LAST = LAYERS = ("all", "log", "last")


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: `options` of the run and parameters or arguments (`set`) of the subject.

    With `theory` nothing is simulated. `layers` says which rows are kept: "all", "log" (1, 2, 4,
    ...) or "last".
    """

    subject: SweepSubject
    options: Mapping[str, Any] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    theory: bool = False
    layers: str = ALL

    @cached_property
    def key(self) -> str:
        """What the cell is known by: the version, and a digest of all that changes a number. Ask
        for it where the files are that options name."""
        form = {
            "schema": SCHEMA,
            "subject": self.subject.identity,
            "options": self._essential(),
            "set": dict(self.set),
            "theory": self.theory,
            "data": [content_of(name, self.options.get(name)) for name in FILES],
        }
        text = json.dumps(form, sort_keys=True, default=str, separators=(",", ":"))
        return f"{VERSION}-{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"

    def _essential(self) -> dict[str, Any]:
        """Return the options that are not what they are by default, and those of a stack whose
        default depends on others."""
        usual = defaults_of(self.subject, self.options)
        given = {
            name: value
            for name, value in self.options.items()
            if value is not None and value != usual.get(name)
        }
        return {**given, **self._of_stack}

    @cached_property
    def _of_stack(self) -> Mapping[str, Any]:
        """What a stack has where its options leave it out, as they would say it: empty of other
        subjects, and of options that describe no stack."""
        if self.subject.kind != STACK or self.options.get("weights") is not None:
            return {}
        from snstat.network.description import own_settings
        from snstat.network.stack import Stack

        try:
            return own_settings(Stack.of(RunSettings(**self.options, threads=1)))
        except SnstatError:  # which the run says
            return {}

    @property
    def portable(self) -> bool:
        """Whether another process can run it: the name of a pair of functions says nothing
        there."""
        return not any(map(_is_pair, (self.options, self.set, self.subject.form)))

    def plan(self) -> AnyPlan | TracePlan:
        """Return the plan of the run, on one thread, so that results do not depend on where it
        runs. Raises SnstatError for options that contradict each other."""
        if self.subject.kind == MODULE:
            from snstat.experiment.trace import TracePlan
            from snstat.experiment.trace_settings import TraceSettings

            given = {name: value for name, value in self.options.items() if value is not None}
            return TracePlan(self.subject.target, TraceSettings(**given), dict(self.set))
        from snstat.experiment.plans import plan_of

        network = self.subject.network(self.set) if self.subject.kind == NETWORK else None
        return plan_of(RunSettings(**self.options, threads=1), network)

    def values(self) -> dict[str, Any]:
        """Return the columns that say what is run: the name of a network or a module, and of every
        option what was given, else the default where it is one value."""
        usual = defaults_of(self.subject, self.options)
        found: dict[str, Any] = {}
        if self.subject.kind != STACK:
            found[SUBJECT] = self.subject.name
        found |= {name: usual.get(name) for name in self.subject.options}
        found |= dict(self._of_stack)
        found |= {name: value for name, value in self.options.items() if value is not None}
        changes = {**self.subject.parameters, **self.set}
        found |= {self.subject.column(name): value for name, value in changes.items()}
        return found | {"layers": None}


def _is_pair(value: Any) -> bool:
    """Return whether the name of a pair of functions is within plain data: a text that carries
    more than its letters."""
    if isinstance(value, Mapping):
        return any(map(_is_pair, value.values()))
    if isinstance(value, list):
        return any(map(_is_pair, value))
    return isinstance(value, str) and type(value) is not str


def defaults_of(subject: SweepSubject, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of options that are not given."""
    settings: Any = RunSettings
    if subject.kind == MODULE:
        from snstat.experiment.trace_settings import TraceSettings as settings  # noqa: N813
    fields = settings.__dataclass_fields__
    found = {name: fields[name].default for name in subject.options}
    if subject.kind == STACK and options.get("widths") is None:
        found |= _DEFAULTS
    if subject.kind != MODULE and options.get("inputs") in (None, "normal"):
        found |= {k: v for k, v in _OF_DRAWN.items() if subject.kind == STACK or k == "batch"}
    return found


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: its `rows`, each (layer, name, numbers of every statistic), and its
    `verdict`; or an `error` in one line. `seconds` is the time it took."""

    key: str
    values: Mapping[str, Any]
    rows: tuple[tuple[Any, ...], ...] = ()
    verdict: str = ""
    error: str = ""
    seconds: float = 0.0
