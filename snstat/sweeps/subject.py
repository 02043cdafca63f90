"""What a sweep runs: a uniform stack, a network file or a module, and the options that it has."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from snstat.disk.digest import digest_of
from snstat.disk.toml_file import TomlFile
from snstat.errors import (
    InputFileError,
    InvalidValueError,
    SnstatError,
    UnknownNameError,
    printable,
)
from snstat.experiment.trace_settings import TraceSettings, is_module, is_onnx
from snstat.network.network import LARGE, MOST_OF_A_NAME, SUFFIX, Network
from snstat.network.run_settings import DRAWN, RunSettings
from snstat.network.settings import NetworkSettings
from snstat.results import EVERY, OF_POSITIONS
from snstat.results.sweep import PARAMETER, SUBJECT
from snstat.values.kinds import Kind
from snstat.values.option import Option, options_of

STACK, NETWORK, MODULE = KINDS = ("stack", "network", "module")
# What other cells of the same file may be of.
_OTHERS = {
    STACK: "other options",
    NETWORK: "another network, or other options",
    MODULE: "other options, or other code",
}
# Options that change no number.
IDLE = {"threads", "keep_trials"}
# Columns that every table has, beside those of options.
FIXED = ("cell", "layers", "layer", "name", "verdict", "error")
# Options on which theory does not depend: cells that differ in these only share it.
SAMPLING = ("seed", "trials", "dtype", "sampler")
# Options that may name a file, or a function, whose content counts.
LOSS = "loss"
FILES = ("inputs", "weights", LOSS)
# The statistics of a row.
OF_STACKS = tuple(name for name in EVERY if name not in (*OF_POSITIONS, "zero_samples", "largest"))
OF_OTHERS = tuple(name for name in EVERY if name not in ("zero_samples", "largest"))
_NONE: Mapping[str, Any] = {}


@dataclass(frozen=True)
class SweepSubject:
    """What all cells run. `form` is the content of a network file, and `name` is what it is called;
    `target` names a module, and `source` is a digest of its code."""

    kind: str = STACK
    name: str = ""
    form: Mapping[str, Any] = field(default_factory=dict)
    target: str = ""
    source: str = ""

    @classmethod
    def of(cls, given: Any) -> SweepSubject:
        """Return the subject that a command line or a caller names: None for a stack, the path of a
        network file, a network, or the Python name of a module; or return what is one already.

        Raises SnstatError for anything else.
        """
        if isinstance(given, SweepSubject):
            return given
        if given is None:
            return cls()
        if isinstance(given, Network):
            return cls(NETWORK, given.name, given.form())
        if not isinstance(given, str | os.PathLike):
            bound = "a network, the path of its file, or the name of a module"
            raise InvalidValueError("subject", given, bound)
        path = os.fspath(given)
        if path.lower().endswith(SUFFIX):
            return cls.of_form(TomlFile.read(path, LARGE).root, path)
        if is_onnx(path) or is_module(path):
            return cls(MODULE, path, target=path, source=_source_of(path))
        bound = "a network file (.toml), or the name of a module (package.module:name)"
        raise InvalidValueError("subject", path, bound)

    @classmethod
    def of_form(cls, form: Mapping[str, Any], path: str) -> SweepSubject:
        """Return the network of a file with this content."""
        name = printable(Path(path).stem, MOST_OF_A_NAME)
        found = cls(NETWORK, name, form)
        try:
            found.network({})
        except SnstatError as error:
            raise InputFileError(path, str(error)) from None
        return found

    @property
    def others(self) -> str:
        """What tells other cells in the same file apart, in words."""
        return _OTHERS[self.kind]

    @property
    def options(self) -> Mapping[str, Option]:
        """The options of a run that may be given and swept, by name."""
        return _options(self.kind)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters of a network file with their values there."""
        found: Mapping[str, Any] = self.form.get("parameters", _NONE)
        return found

    @property
    def statistics(self) -> tuple[str, ...]:
        """The statistics that a row has."""
        return OF_STACKS if self.kind == STACK else OF_OTHERS

    def named(self, name: str, what: str) -> tuple[str, Kind | None]:
        """Return the option, parameter or argument that `name` means, and the kind of its values,
        None for a parameter or an argument. The name stands in `what`, such as "over".

        Raises UnknownNameError for a name that the subject does not have.
        """
        if not isinstance(name, str):
            raise InvalidValueError(what, name, "the name of an option")
        options, word = self.options, name.strip().replace("-", "_")
        if word in options:
            return word, options[word].kind
        if name in self.parameters:
            return name, None
        if self.kind == MODULE and name.isidentifier():
            return name, None
        raise UnknownNameError(what, name, [*options, *self.parameters])

    def column(self, name: str) -> str:
        """Return the column of a parameter or an argument."""
        taken = name in self.options or name in (*FIXED, SUBJECT)
        return f"{PARAMETER}{name}" if taken else name

    def network(self, changes: Mapping[str, Any]) -> Network:
        """Return the network with these parameters."""
        return Network.read(self.form, set=changes, name=self.name)

    @cached_property
    def identity(self) -> str:
        """What tells subjects apart in the keys of cells."""
        if self.kind == STACK:
            return STACK
        if self.kind == MODULE:
            return f"{MODULE} {self.target} {self.source}"
        text = json.dumps([self.name, self.form], sort_keys=True, default=str)
        return f"{NETWORK} {hashlib.sha256(text.encode()).hexdigest()}"


@cache
def _options(kind: str) -> Mapping[str, Option]:
    """Return the options that subjects of a kind have."""
    settings = options_of(TraceSettings if kind == MODULE else RunSettings)
    network = options_of(NetworkSettings) if kind == NETWORK else {}
    return {
        name: declared
        for name, declared in settings.items()
        if name not in IDLE and name not in network
    }


def content_of(name: str, value: Any) -> str:
    """Return what tells the content of a file, or the code, that the option `name` names apart: a
    digest, "" where it names none and of what cannot be read, which the run says."""
    if not isinstance(value, str | os.PathLike) or value in DRAWN:
        return ""
    text = os.fspath(value)
    if name == LOSS:
        return _source_of(text)
    return digest_of(text) or digest_of(text.rpartition(":")[0])  # FILE.npz:name


def _source_of(target: str) -> str:
    from snstat.experiment.trace_source import source_of

    return source_of(target)
