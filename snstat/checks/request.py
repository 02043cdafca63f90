"""The pipe from a stack to its verdict: simulate, judge by rules, compare with a baseline."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.checks.applying import not_applied
from snstat.checks.bounds import Bounds
from snstat.checks.case import Case
from snstat.checks.chance import too_narrow
from snstat.checks.drift import drifts
from snstat.checks.judge import judge
from snstat.checks.notes import few_trials, of_inputs
from snstat.checks.renewed import renewed
from snstat.checks.rules import choose, named
from snstat.checks.settings import TRACED
from snstat.checks.stack_case import StackCase
from snstat.checks.unjudged import notes_of
from snstat.errors import InvalidValueError
from snstat.experiment.inputs import DrawnInputs, token_moments
from snstat.files.saved import load_named
from snstat.limits import require_memory
from snstat.network.description import stack_of
from snstat.network.run_settings import DRAWN, RunSettings
from snstat.results import (
    DEFAULT_NAME,
    STATISTICS,
    UNNAMED,
    Check,
    InputMoments,
    NetworkSummary,
    Run,
    Source,
    StackSummary,
)
from snstat.theory.known import BYTES_PER_LAYER

if TYPE_CHECKING:
    from snstat.checks.inheritance import Reader
    from snstat.experiment.plans import AnyPlan
    from snstat.experiment.trace import TracePlan
    from snstat.network.network import Network
    from snstat.network.stack import Stack
    from snstat.results import Subject

BOUNDS = tuple(entry.name for entry in fields(Bounds))
# Options that name what is simulated or traced.
SUBJECTS = ("network", "module", "set")


@dataclass(frozen=True, slots=True)
class Request:
    """One check, validated: what to run, the bounds and rules, and what to compare with.

    `plan` is None where a saved run is judged. `named` are the rules that were asked for one by
    one.
    """

    name: str
    plan: AnyPlan | TracePlan | None
    bounds: Bounds
    codes: frozenset[str]
    baseline: Run | None = None
    baseline_path: str | None = None
    same_seed: bool = False
    source: Source | None = None
    named: frozenset[str] = frozenset()

    @classmethod
    def build(
        cls,
        options: Mapping[str, Any],
        *,
        name: str | None = None,
        source: Source | None = None,
        saved: Run | None = None,
        read: Reader = load_named,
    ) -> Request:
        """Return the request of `options`: those of `check` that were given, by name.

        Options you leave out are taken from a baseline; `read` returns the runs of its file.
        Without a `name`, the check has that of the network. A `saved` run leaves no choice of the
        stack. Raises what is wrong with them, and TypeError for an option that does not exist.
        """
        given = {key: value for key, value in options.items() if value is not None}
        if "module" not in given:
            _require_untraced(given)
        wanted, called = None, None
        if saved is not None:
            called = saved.subject.called
        else:
            # Imported here, because a saved run is judged without what simulates and traces.
            from snstat.checks.planned import wanted_of

            wanted = wanted_of(given)
            called = wanted.called
        bounds = Bounds(**{key: given.pop(key) for key in BOUNDS if key in given})
        wished = given.pop("select", ())
        codes = choose(wished, given.pop("ignore", ()))
        path, same_seed = given.pop("baseline", None), bool(given.pop("same_seed", False))
        baseline = None
        if path is not None:
            from snstat.checks.inheritance import find_baseline

            baseline = find_baseline(path, DEFAULT_NAME if name is None else name, called, read)
        if same_seed and baseline is None:
            raise InvalidValueError(
                "same_seed", same_seed, "given with a baseline", "it means the baseline's seed"
            )
        _require_known(given)
        plan: AnyPlan | TracePlan | None = None
        network: Network | NetworkSummary | None = None
        if saved is not None:
            _require_none(given)
            network = saved.network
            _require_layers(bounds, saved.subject)
        elif wanted is not None:
            # A configuration says what it wants; a command line, what it wants changed.
            inherits = source is None
            plan, network = wanted.plan(given, baseline, inherits=inherits, same_seed=same_seed)
            _require_layers(bounds, plan.subject)
        if baseline is not None and not same_seed and drifts.code in codes:  # before any run
            from snstat.checks.baseline import require_trials

            require_trials("trials of the baseline", baseline.simulation.trials)
            if plan is not None:
                require_trials("trials", plan.trials)
        label = None if path is None else os.fspath(path)
        if name is None:
            name = DEFAULT_NAME if network is None else network.name or UNNAMED
        named_ones = named(wished)
        return cls(name, plan, bounds, codes, baseline, label, same_seed, source, named_ones)

    def case(self, run: Run) -> Case:
        """Return what the rules look at: theory and bounds beside a complete `run`."""
        if run.partial:
            raise InvalidValueError(
                "run", "partial", "complete to be judged", "run it again to its end"
            )
        source = None if self.plan is None else self.plan.inputs
        moments = None if self.plan is None else self.plan.moments()
        inputs = _input_moments(run) if moments is None else moments
        standardized = Case.standardized
        if source is not None:
            standardized = cache(source.standardized_moments)  # reads a file once
        # Runs that may not be compared, for example of one trial, are still judged.
        baseline = self.baseline if drifts.code in self.codes else None
        stack = _stack(run.subject)
        own = getattr(self.plan, "network", None)
        written = None if own is None else own.written
        options: dict[str, Any] = {
            "same_seed": self.same_seed,
            "standardized": standardized,
            "written": written,
        }
        shared = run.simulation.batch, inputs, self.bounds, run, baseline
        if stack is not None:
            return StackCase(stack, *shared, **options)
        # Each of the others is imported when such a run is judged.
        if run.module is not None:
            from snstat.checks.module_case import ModuleCase

            return ModuleCase(run.module, *shared, **options)
        from snstat.checks.network_case import NetworkCase
        from snstat.network.network import Network

        assert run.network is not None  # noqa: S101  # what is no stack is a network
        network = Network.read(run.network.form)
        return NetworkCase(network, *shared, **options, train=run.simulation.train)

    # A saved run holds any numbers, and what overflows is judged as infinite.
    @np.errstate(over="ignore", divide="ignore", invalid="ignore")
    def judge(
        self, run: Run, *, remedies: bool = True, tick: Callable[[], None] = lambda: None
    ) -> Check:
        """Return the verdict on a complete `run`, and what is wrong with it, and what to try unless
        `remedies` is false. `tick` is called at each look."""
        case = replace(self.case(run), tick=tick)
        other_theory: list[str] = []
        if self.plan is None and isinstance(case, StackCase):
            case, other_theory = renewed(case)
        codes = self.codes
        if run.given is not None:  # what other draws would be is not asked
            remedies, codes = False, codes - {too_narrow.code}
        verdict, findings = judge(case, codes, remedies=remedies)
        notes = other_theory + notes_of(case, codes)
        if run.given is not None and too_narrow.code in self.codes:
            notes.append(f"{too_narrow.code} not judged: it is about weights that are drawn")
        notes += [*few_trials(run), *of_inputs(case), *case.gaps]
        notes += not_applied(case, codes, self.named)
        if self.baseline is not None:
            from snstat.checks.unlike import unlike

            notes += unlike(run, self.baseline)
            if self.same_seed:
                from snstat.checks.same_draws import draws_told

                notes += draws_told(run, self.baseline)
            elif run.simulation.seed == self.baseline.simulation.seed is not None:
                notes.append("same seed as the baseline: the draws are not independent")
        return Check(
            name=self.name,
            verdict=verdict,
            findings=tuple(findings),
            subject=run.subject,
            simulation=run.simulation,
            notes=tuple(notes),
            baseline=self.baseline_path,
            source=self.source,
        )


def verdict_on(run: Run, plan: AnyPlan | TracePlan | None = None) -> Check | None:
    """Return the verdict on `run` by every rule and its default bound, without remedies.

    `plan` is what `run` carried out, where it is at hand: a saved run says less of its data. None
    for a partial run, which cannot be judged.
    """
    if run.partial:
        return None
    request = Request.build({}, saved=run)
    return replace(request, plan=plan).judge(run, remedies=False)


def _require_untraced(given: dict[str, Any]) -> None:
    """Raise InvalidValueError for options that only modules have; take away those that say
    nothing."""
    for name in TRACED & given.keys():
        if given[name] not in ((), False):
            if name == "max_bytes":
                words = "it is about the file that is judged: snstat check model.safetensors"
                raise InvalidValueError(name, given[name], "left out without weights", words)
            words = "it is about a traced module: snstat check package.module:name"
            raise InvalidValueError(name, given[name], "left out without a module", words)
        del given[name]


def _require_none(options: Mapping[str, Any]) -> None:
    """Raise InvalidValueError for options of a run, beside one that was saved."""
    for name, value in options.items():
        raise InvalidValueError(name, value, "left out beside a saved run, which has its own")


def _require_known(options: Mapping[str, Any]) -> None:
    """Raise TypeError for an option that does not exist."""
    known = [*SUBJECTS, *(entry.name for entry in fields(RunSettings))]
    for name in options:
        if name not in known:
            near = get_close_matches(name, [*known, *BOUNDS], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"check has no argument {name!r}{hint}")


def _stack(subject: Subject) -> Stack | None:
    """Return the stack that a run is of, None for a network that is not one."""
    summary = subject.stack if isinstance(subject, NetworkSummary) else subject
    return stack_of(summary) if isinstance(summary, StackSummary) else None


def _require_layers(bounds: Bounds, subject: Subject | None) -> None:
    """Raise InvalidValueError for layers that a network does not have; None is a module that did
    not yet run."""
    if not isinstance(subject, NetworkSummary | StackSummary):
        _require_no_limit(bounds)
        return
    depth, stack = subject.depth, _stack(subject)
    if bounds.target_layer is not None and bounds.target_layer > depth:
        raise InvalidValueError("target_layer", bounds.target_layer, f"at most {depth}, the depth")
    if bounds.depth_limit is not None and bounds.depth_limit < depth:
        raise InvalidValueError("depth_limit", bounds.depth_limit, f"at least {depth}, the depth")
    uniform = stack is not None and stack.uniform
    if bounds.depth_limit is not None and bounds.depth_limit > depth and not uniform:
        why = "widths, last and network files describe these layers only"
        raise InvalidValueError("depth_limit", bounds.depth_limit, f"{depth}, the depth", why)
    if bounds.depth_limit is not None:
        require_memory(float(bounds.depth_limit) * BYTES_PER_LAYER, "use a smaller --depth-limit")


def _require_no_limit(bounds: Bounds) -> None:
    """Raise InvalidValueError for a depth limit, which a module that ends where it ends has not."""
    if bounds.depth_limit is not None:
        bound = "left out for a traced module, which has the calls that it makes"
        raise InvalidValueError("depth_limit", bounds.depth_limit, bound)


def _input_moments(run: Run) -> InputMoments:
    """Return what layer 0 of a saved run averages to: of data, its theory, and where that is
    missing what was seen."""
    simulation = run.simulation
    if run.tokens:
        return token_moments(drawn=simulation.inputs in DRAWN)
    if simulation.inputs in DRAWN:
        mean, std = simulation.input_mean or 0.0, simulation.input_std
        return DrawnInputs(
            simulation.inputs,
            run.row(0).units,
            simulation.batch,
            mean,
            1.0 if std is None else std,
        ).moments()
    values: dict[str, Any] = {}
    for name in [entry.name for entry in fields(InputMoments) if entry.name in STATISTICS]:
        theory = float(run.statistics[name].theory[0])
        values[name] = float(run.statistics[name].estimate[0]) if math.isnan(theory) else theory
    if run.data is not None:
        values["largest"], values["norms"] = run.data.largest, run.data.norms
        values["cosine_spread"] = run.data.cosine_spread
        values["length_variance"] = 0.0 if run.data.norms is None else math.nan
    # Runs of before: of samples that differ in norm nothing was expected.
    elif np.isfinite(run.statistics["second_moment"].expected[1:2]).all():
        values["length_variance"] = 0.0
    return InputMoments(**values)
