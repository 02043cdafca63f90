"""The pipe from a stack to its verdict: simulate, judge by rules, compare with a baseline."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from snstat.checks.baseline import compare, identical, require_trials
from snstat.checks.bounds import Bounds
from snstat.checks.case import Case
from snstat.checks.chance import left_out
from snstat.checks.judge import judge
from snstat.checks.rules import BASELINE_CODE, BASELINE_NAME, choose
from snstat.engine.inputs import DRAWN, DrawnInputs
from snstat.errors import InputFileError, InvalidValueError
from snstat.plan import Plan, options_of, stack_of
from snstat.results import STATISTICS, Check, Finding, InputMoments, Run, Source
from snstat.saved import load_named

BOUNDS = tuple(entry.name for entry in fields(Bounds))
DEFAULT_NAME = "default"
# Added to a seed, modulo 2⁶⁴, for a run that is to be independent of its baseline: seeds are keys,
# and the streams of any two keys are.
OTHER_SEED = 1


@dataclass(frozen=True, slots=True)
class Request:
    """One check, validated: what to run, the bounds and rules, and what to compare with.

    `plan` is None where a saved run is judged.
    """

    name: str
    plan: Plan | None
    bounds: Bounds
    codes: frozenset[str]
    baseline: Run | None = None
    baseline_path: str | None = None
    same_seed: bool = False
    source: Source | None = None

    @classmethod
    def build(
        cls,
        options: Mapping[str, Any],
        *,
        name: str = DEFAULT_NAME,
        source: Source | None = None,
        saved: Run | None = None,
    ) -> Request:
        """Return the request of `options`: those of `check` that were given, by name.

        With a baseline, what is not given is as it was there. A `saved` run leaves no choice of
        the stack. Raises what is wrong with them.
        """
        given = {key: value for key, value in options.items() if value is not None}
        bounds = Bounds.build(**{key: given.pop(key) for key in BOUNDS if key in given})
        codes = choose(given.pop("select", ()), given.pop("ignore", ()))
        path, same_seed = given.pop("baseline", None), bool(given.pop("same_seed", False))
        baseline = None if path is None else find_baseline(path, name)
        if same_seed and baseline is None:
            raise InvalidValueError(
                "same_seed", same_seed, "given with a baseline", "it means the baseline's seed"
            )
        plan = None if saved is not None else _plan(given, baseline, same_seed=same_seed)
        if plan is not None and baseline is not None and not same_seed:
            require_trials("trials", plan.trials)  # before anything runs
        label = None if path is None else os.fspath(path)
        return cls(name, plan, bounds, codes, baseline, label, same_seed, source)

    def case(self, run: Run) -> Case:
        """Return what the rules look at: theory and bounds beside a complete `run`."""
        if run.partial:
            raise InvalidValueError(
                "run", "partial", "complete to be judged", "run it again to its end"
            )
        if self.plan is None:
            stack, inputs = stack_of(run), _input_moments(run)
        else:
            stack, inputs = self.plan.stack, self.plan.inputs.moments()
        return Case(stack, run.simulation.batch, inputs, self.bounds, run)

    def judge(self, run: Run) -> Check:
        """Return the verdict on a complete `run`, and what is wrong with it."""
        case = self.case(run)
        verdict, findings = judge(case, self.codes)
        notes = left_out(case) if "SN501" in self.codes else []
        if self.baseline is not None:
            notes += _unlike(run, self.baseline)
            if BASELINE_CODE in self.codes:
                findings += self._drift(run, self.baseline)
        return Check(
            name=self.name,
            verdict=verdict,
            findings=tuple(findings),
            stack=run.stack,
            simulation=run.simulation,
            notes=tuple(notes),
            baseline=self.baseline_path,
            source=self.source,
        )

    def _drift(self, run: Run, baseline: Run) -> list[Finding]:
        if self.same_seed:
            how = identical(run, baseline)
        else:
            how = compare(run, baseline, self.bounds.min_effect)
        if how is None:
            return []
        remedy = "undo the change, or accept it with --write-baseline"
        message = f"{how.text}; {remedy}"
        return [
            Finding(BASELINE_CODE, BASELINE_NAME, how.layer, how.value, how.bound, message, remedy)
        ]


def check(
    activation: str | None = None,
    depth: int | None = None,
    *,
    baseline: str | os.PathLike[str] | None = None,
    same_seed: bool = False,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    name: str = DEFAULT_NAME,
    progress: Callable[[int], None] | None = None,
    **options: Any,
) -> Check:
    """Simulate a stack and judge it: a verdict, and every rule that it breaks.

    Parameters
    ----------
    activation, depth
        As in `snstat.propagate`; "selu" and 64 by default.
    baseline
        A saved run or baseline to compare with; what is not given here is then as it was there.
    same_seed
        Draw the baseline's own networks and compare to the last bit.
    select, ignore
        Codes of rules ("SN202"), or their beginnings ("SN2"): which to apply, which not.
    name
        What the result calls the check; a baseline of several checks is looked up by it.
    progress
        Called now and then with the number of (layer, trial) pairs finished.
    **options
        Any other argument of `snstat.propagate`, and any bound of `snstat.checks.bounds.Bounds`.

    Returns
    -------
    Check
        `verdict`, `passed` and `findings`, each with a message and a remedy that was tried out.

    Raises
    ------
    SnstatError
        What is wrong with an argument or the baseline file.
    TypeError
        For an argument that does not exist.
    KeyboardInterrupt
        A part of a run is not judged.
    """
    request = Request.build(
        {
            "activation": activation,
            "depth": depth,
            "baseline": baseline,
            "same_seed": same_seed,
            "select": tuple(select),
            "ignore": tuple(ignore),
            **options,
        },
        name=name,
    )
    assert request.plan is not None  # noqa: S101  # no saved run was given
    run = request.plan.run(progress)
    if run.partial:
        raise KeyboardInterrupt
    return request.judge(run)


def find_baseline(path: str | os.PathLike[str], name: str) -> Run:
    """Return the run of the check `name` in a baseline file, or the only run there is.

    Raises InputFileError for a file that is missing or damaged, or has no such run.
    """
    runs = load_named(path)
    if name in runs:
        return runs[name]
    if len(runs) == 1 and name == DEFAULT_NAME:
        return next(iter(runs.values()))
    known = ", ".join(runs)
    raise InputFileError(
        path, f"has no baseline of the check {name!r}, only of {known}", "write it again"
    )


def _plan(given: dict[str, Any], baseline: Run | None, *, same_seed: bool) -> Plan:
    """Return the plan of the options of a stack, the baseline's where they are not given."""
    options: dict[str, Any] = {"activation": "selu", "depth": 64}
    if baseline is not None:
        options |= options_of(baseline)
        if "inputs" in given:
            # They bring their own number of samples and moments.
            options |= {"batch": None, "input_mean": None, "input_std": None}
        elif options["inputs"] == "array":
            raise InvalidValueError(
                "inputs", "array", "given again", "the baseline was made from an array in memory"
            )
        if same_seed and given.get("seed", options["seed"]) != options["seed"]:
            raise InvalidValueError(
                "seed", given["seed"], f"{options['seed']}, as in the baseline", "leave it out"
            )
        if not same_seed and given.get("seed", options["seed"]) == options["seed"]:
            given["seed"] = (options["seed"] + OTHER_SEED) % 2**64
        # Chosen again: another stack may need the other sampler.
        if not same_seed:
            options["sampler"] = "auto"
    return Plan.build(**(options | given))


def _input_moments(run: Run) -> InputMoments:
    """Return what layer 0 of a saved run averages to: of data, its theory, and where that is
    missing what was seen."""
    simulation = run.simulation
    if simulation.inputs in DRAWN:
        mean, std = simulation.input_mean or 0.0, simulation.input_std
        return DrawnInputs(
            simulation.inputs,
            run.stack.input_width,
            simulation.batch,
            mean,
            1.0 if std is None else std,
        ).moments()
    values: dict[str, Any] = {}
    for name in [entry.name for entry in fields(InputMoments) if entry.name in STATISTICS]:
        theory = float(run.statistics[name].theory[0])
        values[name] = float(run.statistics[name].estimate[0]) if math.isnan(theory) else theory
    return InputMoments(**values)


def _unlike(run: Run, baseline: Run) -> list[str]:
    """Return in words how the stack itself differs from the baseline's."""
    told = []
    parts: Sequence[tuple[Any, Any]] = (
        (run.stack, baseline.stack),
        (run.simulation, baseline.simulation),
    )
    for mine, theirs in parts:
        told += [
            f"{key.replace('_', ' ')} is {mine[key]}, was {theirs[key]}"
            for key in mine.keys()  # noqa: SIM118  # a Record is no dict
            if mine[key] != theirs[key] and key not in {"seed", "sampler"}
        ]
    return [f"not the stack of the baseline: {'; '.join(told)}"] if told else []
