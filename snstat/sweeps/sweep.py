"""A sweep as one function, and its cells for engines of other packages."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from snstat.errors import InvalidValueError, UnknownNameError
from snstat.network.run_settings import RunSettings
from snstat.network.subject import is_network
from snstat.results.sweep import Sweep, sweep_of
from snstat.sweeps.cell import ALL, Cell
from snstat.sweeps.grid import Grid
from snstat.sweeps.reading import load_sweep
from snstat.sweeps.store import MemoryStore
from snstat.sweeps.subject import SweepSubject
from snstat.sweeps.sweeping import Progress, Sweeping, axes_of
from snstat.sweeps.values import ROWS, SEEDS, THREADS

_NONE: Mapping[str, Any] = {}


def sweep(
    subject: Any = None,
    grid: Mapping[str, Any] = _NONE,
    *,
    zip: Sequence[Sequence[str]] = (),  # noqa: A002  # as in files
    seeds: int | None = None,
    output: str | os.PathLike[str] | None = None,
    theory: bool = False,
    layers: str = ALL,
    threads: int | None = None,
    dask: str | None = None,
    set: Mapping[str, Any] = _NONE,  # noqa: A002  # as in snstat.propagate
    progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Sweep:
    """Run a network for every combination of some options, and return all layers as one table.

    Parameters
    ----------
    subject : str, path, Network, optional
        An activation, a network or the path of its file (.toml), or the Python name of a module,
        "package.module:name", whose cells are traces.
    grid : mapping
        Values of options, of parameters of the file, or of arguments of the function, by name:
        lists, arrays, or ranges such as {"from": 0.8, "to": 1.2, "steps": 9}, with
        "scale": "log" for equal ratios.
    zip : sequence of sequences of str
        Groups of options whose values change together, instead of being combined.
    seeds : int, optional
        So many seeds, from `seed` on.
    output : path, optional
        The file of the table, .csv or .parquet (with pyarrow). A sweep that was interrupted goes on
        where it stopped; cells that failed are tried again.
    theory : bool
        Predict only, and simulate nothing.
    layers : str
        Rows that are kept of each cell: "all", "log" (0, 1, 2, 4, ...) or "last".
    threads : int, optional
        Cells that run at once; by default as many as there are cores. Each runs on one thread, so
        results do not depend on it.
    dask : str, optional
        The address of a running Dask scheduler whose workers run the cells.
    set : mapping
        Parameters of the file, or arguments of the function, that all cells have.
    progress : callable, optional
        Called now and then with `cells`, `before`, `done`, `failed`, `left` and `seconds_left`.
    **options
        Options of `snstat.propagate`, or of `snstat.trace`, that all cells have.

    Returns
    -------
    Sweep
        Columns by name, (rows,): `found["gradient_estimate"]`; `found.cells` has the last row of
        every cell, and `found.to_frame()` is a pandas DataFrame.

    Raises
    ------
    snstat.errors.SnstatError
        For an unknown option, a value out of bounds, options that contradict each other in every
        cell, and an output that another sweep writes to. A cell that fails is a row of the table.
    """
    asked = asked_for(
        subject,
        grid,
        zip=zip,
        seeds=seeds,
        theory=theory,
        layers=layers,
        threads=threads,
        dask=dask,
        set=set,
        **options,
    )
    asked.require_possible()
    with asked.opened(output) as store:
        asked.run(store, progress or (lambda _: None))
        if isinstance(store, MemoryStore):
            return sweep_of(store.columns, [*store.all_rows()], asked.over)
    assert output is not None  # noqa: S101  # for the type checker
    return load_sweep(output, over=asked.over)


def asked_for(
    subject: Any,
    grid: Mapping[str, Any],
    *,
    zip: Sequence[Sequence[str]] = (),  # noqa: A002  # as in `sweep`
    seeds: int | None = None,
    theory: bool = False,
    layers: str = ALL,
    threads: int | None = None,
    dask: str | None = None,
    set: Mapping[str, Any] = _NONE,  # noqa: A002  # as in `sweep`
    **options: Any,
) -> Sweeping:
    """Return the sweep that the arguments of `sweep` describe. Raises SnstatError."""
    if isinstance(subject, str) and not is_network(subject) and _is_activation(subject):
        options, subject = {"activation": subject, **options}, None
    found = SweepSubject.of(subject)
    own: dict[str, Any] = {}
    for name, value in options.items():
        if name not in found.options:
            raise UnknownNameError("argument", name, found.options)
        if value is not None:
            own[name] = found.options[name].kind.check(name, value)
    seeds = None if seeds is None else SEEDS.check("seeds", seeds)
    axes = axes_of(found, grid, seeds, own.get("seed", 0))
    if seeds is not None:
        own.pop("seed", None)
    groups = [[found.named(name, "zip")[0] for name in group] for group in zip]
    return Sweeping(
        found,
        Grid.of(axes, groups),
        own,
        dict(set),
        theory=bool(theory),
        layers=ROWS.check("layers", layers),
        threads=None if threads is None else THREADS.check("threads", threads),
        dask=dask,
    )


def sweep_cells(
    subject: Any = None, grid: Mapping[str, Any] = _NONE, **options: Any
) -> Iterator[Cell]:
    """Yield the cells of a sweep, for an engine of another package: `snstat.run_cell(cell)` runs
    one in any process. The arguments are those of `snstat.sweep`, without `output`."""
    return asked_for(subject, grid, **options).cells(in_order=True)


def _is_activation(text: str) -> bool:
    """Return whether a text names an activation, and no module."""
    try:
        RunSettings(activation=text)
    except InvalidValueError:
        return False
    return True
