"""The pipe from a stack to its verdict, as one function."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from snstat.checks.request import Request
from snstat.experiment.trace_settings import is_module, is_onnx
from snstat.files.saved import load
from snstat.network.subject import is_saved
from snstat.results import Check, Run


def check(
    activation: Any = None,
    depth: int | None = None,
    *,
    baseline: str | os.PathLike[str] | None = None,
    same_seed: bool = False,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    name: str | None = None,
    progress: Callable[[int], None] | None = None,
    **options: Any,
) -> Check:
    """Simulate a network and judge it: a verdict, and every rule that it breaks.

    Parameters
    ----------
    activation, depth
        As in `snstat.propagate`; "selu" and 64 by default. Also a PyTorch module, a function that
        builds one, or the Python name of one of these, "package.module:name": options are then
        those of `snstat.trace`. A run, or the path of a saved one (.json), is judged as it is:
        options that describe a run are then refused.
    baseline
        A saved run or baseline to compare with; options you leave out are taken from it.
    same_seed
        Draw the baseline's own networks and compare to the last bit.
    select, ignore
        Codes of rules ("SN202"), or their beginnings ("SN2"): which to apply, which not.
    name
        What the result calls the check, by default the name of the network, "default" for a stack;
        a baseline of several checks is looked up by it.
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
        An argument or the baseline file is invalid.
    TypeError
        For an argument that does not exist.
    KeyboardInterrupt
        A part of a run is not judged.
    """
    return judged(
        activation,
        depth,
        baseline=baseline,
        same_seed=same_seed,
        select=select,
        ignore=ignore,
        name=name,
        progress=progress,
        **options,
    )[1]


def judged(
    activation: Any = None,
    depth: int | None = None,
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    name: str | None = None,
    progress: Callable[[int], None] | None = None,
    **options: Any,
) -> tuple[Run, Check]:
    """Return a run and its judgement; arguments and errors are those of `check`."""
    saved = activation if isinstance(activation, Run) else None
    if is_saved(activation):
        saved = load(activation)
    request = Request.build(
        {
            **_subject(activation if saved is None else None),
            "depth": depth,
            "select": (select,) if isinstance(select, str) else tuple(select),
            "ignore": (ignore,) if isinstance(ignore, str) else tuple(ignore),
            **options,
        },
        name=name,
        saved=saved,
    )
    run = saved if request.plan is None else request.plan.run(progress)
    assert run is not None  # noqa: S101  # for the type checker
    if run.partial:
        raise KeyboardInterrupt
    return run, request.judge(run)


def _subject(subject: Any) -> dict[str, Any]:
    """Return the option that says what is checked: a module, or an activation or a network."""
    # A parameter may follow the name of an activation, but leaky_relu:0.2 is no Python name.
    named = isinstance(subject, str) and (is_module(subject) or is_onnx(subject))
    return {"module" if named or callable(subject) else "activation": subject}
