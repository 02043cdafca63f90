"""What a check takes from its baseline: the run of its name, options left out, another seed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from snstat.errors import InputFileError, InvalidValueError
from snstat.experiment.plan import options_of, sampling_of
from snstat.files.saved import load_named
from snstat.network.network import Network
from snstat.network.settings import NetworkSettings
from snstat.results import DEFAULT_NAME, Run
from snstat.values import option

# Added to a seed, modulo 2⁶⁴, for a run that is to be independent of its baseline: seeds are keys,
# and the streams of any two keys are.
OTHER_SEED = 1
# The options that describe a stack.
STACK = option.options_of(NetworkSettings).keys()

# What reads the runs of a baseline file, by the names of their checks.
Reader = Callable[[str], dict[str, Run]]


def find_baseline(
    path: str | os.PathLike[str],
    name: str,
    activation: str | None = None,
    read: Reader = load_named,
) -> Run:
    """Return the run of the check `name` in a baseline file; a check without a name of its own is
    that of its activation, or the only run there is.

    Raises InputFileError for a file that is missing or damaged, or has no such run.
    """
    runs = read(os.fspath(path))
    if name in runs:
        return runs[name]
    remedy = "write it again"
    if name == DEFAULT_NAME:
        if activation in runs:
            return runs[activation]
        if len(runs) == 1:
            return next(iter(runs.values()))
        remedy = "choose one with --activation, or write it again"
    known = ", ".join(runs)
    raise InputFileError(path, f"has no baseline of the check {name!r}, only of {known}", remedy)


def inherited(
    baseline: Run, given: Mapping[str, Any], network: Network | None, *, same_seed: bool
) -> tuple[dict[str, Any], Network | None]:
    """Return the options of a run that is as the baseline, but for what is `given`, and the network
    that it simulates: `network` if that is given, else that of the baseline, unless options
    describe a stack."""
    if baseline.module is not None:
        target = baseline.module.target
        remedy = f"name it: snstat check {target}"
        raise InvalidValueError("baseline", target, "of a network that is simulated here", remedy)
    if baseline.given is not None:
        remedy = "compare a saved run with it: snstat check RUN.json --baseline FILE"
        file = baseline.given.file
        raise InvalidValueError("baseline", file, "of weights that are drawn", remedy)
    stack = baseline.stack
    if network is None and baseline.network is not None and not given.keys() & STACK:
        network = Network.read(baseline.network.form)
    if network is not None or stack is None:
        options = sampling_of(baseline)
    else:
        options = options_of(baseline)
    if {"weight_gain", "weight_std"} & given.keys():  # which replace each other
        options |= {"weight_gain": None, "weight_std": None}
    if "inputs" in given:
        # They bring their own number of samples and moments.
        options |= {"batch": None, "input_mean": None, "input_std": None}
        options |= {"standardize": False, "flatten": False}
    elif options["inputs"] == "array":
        raise InvalidValueError(
            "inputs", "array", "given again", "the baseline was made from an array in memory"
        )
    if "widths" in given:
        options |= {"depth": None, "width": None}
    elif {"depth", "width"} & given.keys() and stack is not None and stack.widths is not None:
        options |= {"widths": None, "depth": stack.depth, "width": stack.width}
    # Another stack may need the other sampler; the same networks need the same.
    return options if same_seed else options | {"sampler": "auto"}, network


def seed_beside(given: Mapping[str, Any], baseline: Run, *, same_seed: bool) -> int:
    """Return the baseline's seed, or one that is not."""
    own: int = baseline.simulation.seed or 0  # None where nothing was drawn
    wanted: int = given.get("seed", own)
    if same_seed and wanted != own:
        raise InvalidValueError("seed", wanted, f"{own}, as in the baseline", "leave it out")
    return wanted if same_seed or wanted != own else (own + OTHER_SEED) % 2**64
