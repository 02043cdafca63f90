"""What `snstat check` judges: a saved run, the checks of a configuration, or stacks of options."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snstat.cli.check_options import LISTS, OVERALL, STACK
from snstat.cli.options import refuse_others
from snstat.cli.variants import Variant, variants
from snstat.errors import InputFileError, InvalidValueError, SnstatError, UnknownNameError
from snstat.experiment.trace_settings import is_onnx
from snstat.results import DEFAULT_NAME, NetworkSummary

if TYPE_CHECKING:
    import click

    from snstat.checks.config import Declared
    from snstat.checks.request import Request
    from snstat.cli.modules import ModuleTarget
    from snstat.network.network import Network
    from snstat.results import Run


class Requests:
    """The checks that a command line requests, built from its arguments."""

    def __init__(
        self,
        ctx: click.Context,
        saved: Sequence[str],
        config: str | None,
        given: dict[str, Any],
        write_baseline: str | None,
        only: Sequence[str],
        networks: Sequence[Network | ModuleTarget | None] = (None,),
        *,
        allow_code: bool = False,
    ) -> None:
        from snstat.files.saved import load_named

        self.ctx, self.saved, self.config, self.given = ctx, saved, config, given
        self.write_baseline, self.only, self.networks = write_baseline, only, networks
        self.allow_code = allow_code
        self.read = cache(load_named)  # standard input can be read once

    def all(self) -> list[tuple[Request, Run | None]]:
        """Return each check, with its run if that was saved."""
        from snstat.checks.drift import drifts

        stack = [name for name in self.given if name in STACK]
        if self.networks[0] is not None:
            if self.config is not None:
                bound = "left out beside a network file or a module"
                raise InvalidValueError("--config", self.config, bound)
            return self._of_options()
        if self._replaced(self.given.get("baseline")):
            self.given["ignore"] = (*self.given.get("ignore", ()), drifts.code)
        if self.saved:
            return self._of_saved(self.saved)
        if self.config is not None and stack:
            option = next(
                max(entry.opts, key=len)
                for entry in self.ctx.command.params
                if entry.name == stack[0]
            )
            raise InvalidValueError(
                "--config", self.config, f"left out beside {option}", "put the option into the file"
            )
        if not stack:
            from snstat.checks.config import find_config, load_config

            path = Path(self.config) if self.config is not None else find_config(Path())
            if path is not None:
                declared = load_config(path)
                names = kept([entry.name for entry in declared], self.only)
                if self.config is None and not self.allow_code:
                    require_no_code([entry for entry in declared if entry.name in names])
                return [
                    (self._of_declared(entry, variant), None)
                    for entry in declared
                    if entry.name in names
                    for variant in self._variants()
                ]
        return self._of_options()

    def _variants(self) -> list[Variant]:
        lists = {name: (self.given[name],) for name in LISTS if name in self.given}
        return variants(self.given | lists)

    def _of_saved(self, paths: Sequence[str]) -> list[tuple[Request, Run | None]]:
        """Return a check for every run of the files. Runs of one file keep their names. Runs of
        several files are named by their differences."""
        from snstat.checks.request import BOUNDS, Request

        if self.config is not None:
            raise InvalidValueError("--config", self.config, "left out beside a saved run")
        refuse_others(self.ctx, OVERALL | set(BOUNDS))
        found: list[tuple[str, Run]] = []
        for path in paths:
            runs = self.read(path)
            found += [(DEFAULT_NAME if len(runs) == 1 else name, run) for name, run in runs.items()]
        names = [name for name, _ in found]
        if len(paths) > 1:
            from snstat.report.differences import labels

            names = labels([run for _, run in found])
        elif len(found) == 1:
            names = list(runs)
        chosen = kept(names, self.only)
        requests: list[tuple[Request, Run | None]] = []
        for name, (own, run) in zip(names, found, strict=True):
            # The only run of a file is the default check. A module has a name that says more.
            own_name = own if run.module is None else run.subject.called
            shown = own_name if len(found) == 1 else name
            for variant in self._variants() if name in chosen else ():
                request = Request.build(variant.options, name=own, saved=run, read=self.read)
                called = _joined(_of_network(shown, run.network), variant)
                requests.append((replace(request, name=called), run))
        return requests

    def _of_options(self) -> list[tuple[Request, Run | None]]:
        from snstat.checks.request import Request

        named = {
            _called(network, variant) or DEFAULT_NAME: (network, variant)
            for network in self.networks
            for variant in self._variants()
        }
        names = kept(list(named), self.only)
        baseline = self.given.get("baseline")
        requests: list[tuple[Request, Run | None]] = []
        for name, (network, variant) in named.items():
            if name not in names:
                continue
            # What has a name that the baseline lacks is looked up as the default check: a stack,
            # and a network whose file was renamed, beside a baseline of one.
            known = baseline is None or (
                set(variant.differ) <= {"activation"}
                if network is None
                else len(self.read(baseline)) > 1
            )
            lookup = name if known or name in self.read(baseline) else DEFAULT_NAME
            options = {**variant.options, **_network(network)}
            request = Request.build(options, name=lookup, read=self.read)
            # The network may be the baseline's.
            subject = None if request.plan is None else request.plan.subject
            own = subject if isinstance(subject, NetworkSummary) else None
            requests.append((replace(request, name=_of_network(name, own)), None))
        return requests

    def _of_declared(self, declared: Declared, variant: Variant) -> Request:
        """Return a check of the configuration, with the options of the command line."""
        from snstat.checks.config import located
        from snstat.checks.request import Request

        def request(options: dict[str, Any]) -> Request:
            # A file that will be replaced is not a baseline, and may not exist yet.
            if self._replaced(options.get("baseline")):
                options = {key: options[key] for key in options if key != "baseline"}
            made = Request.build(
                options, name=declared.name, source=declared.source, read=self.read
            )
            return replace(made, name=_joined(declared.name, variant))

        try:
            return request({**declared.options, **variant.options})
        except SnstatError as error:
            try:
                request(dict(declared.options))
            except SnstatError:
                raise located(declared.source, declared.name, error) from None
            # The file is valid without the options of the command line.
            raise

    def _replaced(self, baseline: str | None) -> bool:
        """Return whether the baseline is the file that will be written."""
        return self.write_baseline is not None and same_file(baseline, self.write_baseline)


def kept(names: Sequence[str], only: Sequence[str]) -> set[str]:
    """Return which of the checks called `names` to run: those of `only`, all if that is empty.

    Raises UnknownNameError for a name that no check has.
    """
    found: set[str] = set()
    for entry in only:
        for word in [entry] if entry in names else entry.split(","):
            same = {name for name in names if name.casefold() == word.strip().casefold()}
            if not same:
                raise UnknownNameError("only", word.strip(), names)
            found |= same
    return found or set(names)


def same_file(path: str | None, other: str) -> bool:
    """Return whether two names mean the same file. It need not exist."""
    return path is not None and os.path.realpath(path) == os.path.realpath(other)


def require_no_code(declared: Sequence[Declared]) -> None:
    """Raise InputFileError for a check of a module: a configuration that nobody named may be that
    of a stranger, and to import a module runs its code."""
    for entry in declared:
        module = entry.options.get("module")
        if module is not None and not is_onnx(module):  # a file is data
            place = f"{entry.source.path}:{entry.source.line}"
            raise InputFileError(
                place,
                f"the check {entry.name!r} names a module, which runs its code",
                f"if you trust it, use --allow-code or --config {entry.source.path}",
            )


def _network(network: Network | ModuleTarget | None) -> dict[str, Any]:
    """Return the options of a check that say what the network is."""
    from snstat.cli.modules import ModuleTarget

    if isinstance(network, ModuleTarget):
        return {"module": network.target, "set": network.set}
    return {"network": network}


def _of_network(name: str, network: NetworkSummary | None) -> str:
    """Return what to call a check: by its network, where it has no other name."""
    return network.called if network is not None and name == DEFAULT_NAME else name


def _called(network: Network | ModuleTarget | None, variant: Variant) -> str:
    return variant.name if network is None else _joined(network.name, variant)


def _joined(name: str, variant: Variant) -> str:
    return ", ".join(filter(None, (name, variant.name)))
