"""Parsing of a run from JSON, with validation of every value."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any

import numpy as np

from snstat.errors import quoted
from snstat.files.form import (
    OPTIONS,
    FormError,
    Reader,
    digest,
    entries_of,
    entry_of,
    list_of,
    number_of,
    options,
    or_null,
    read,
    word,
)
from snstat.files.run_bounds import require_definitions, require_possible
from snstat.files.subject_form import parse_subject, require_layers
from snstat.limits import MAX_DEPTH
from snstat.results import (
    ALSO_MEASURED,
    GRADIENT,
    OF_POSITIONS,
    PROPAGATION_SCHEMA,
    STATISTICS,
    LayerMean,
    Outlook,
    Run,
    Simulation,
    Statistic,
    Subject,
)
from snstat.results.base import IntArray
from snstat.results.theory_end import ENDS_OF, TheoryEnd
from snstat.values import number
from snstat.values.kinds import Flag, Name, Real, Whole

flag: Reader = Flag().plain
# What a population is asked for by.
NAME = "infinite_width"


def parse_run(form: Any, schema: str = PROPAGATION_SCHEMA) -> Run:
    """Return the run that `form` describes, the parsed JSON object of one run under `schema`.

    Unknown keys are ignored. Raises FormError, and InvalidValueError for a value out of bounds.
    """
    entries = entries_of("a run", form)
    subject, simulation = _parse_subject(entries, earlier=schema != PROPAGATION_SCHEMA)
    partial = flag("partial", entries.get("partial", False))
    layers = list_of("layers", entries)
    require_layers(subject.depth, len(layers), partial=partial)
    rows = [entries_of(f"layer {number}", layer) for number, layer in enumerate(layers)]
    for expected, row in enumerate(rows):
        seen = entry_of(f"layer {expected}", row, "layer")
        if seen != expected or isinstance(seen, bool | float):
            raise FormError("layers are not numbered 0, 1, 2, ...")
    # Older runs lack the statistics that were added later.
    also = (*ALSO_MEASURED, *OF_POSITIONS)
    measured = [*STATISTICS, *(name for name in also if name in rows[0])]
    # The gradient of schema 1 is another quantity, that of pre-activations.
    if GRADIENT in rows[0] and schema == PROPAGATION_SCHEMA:
        measured.append(GRADIENT)
    # One module has one draw of its weights, and theory averages over all.
    scored = subject.what != "module" or subject.trials_of != "inputs"
    statistics = {name: _statistic(name, rows, scored=scored) for name in measured}
    require_possible(statistics, simulation, _trials_had(subject, simulation, len(rows)))
    if subject.what != "module":
        require_definitions(statistics, simulation.batch)
    if entries.get("trials") is not None:
        from snstat.files.trials_form import with_trials  # few files keep every trial

        statistics = with_trials(entries["trials"], statistics, simulation.trials)
    outlook, data = entries.get("outlook"), entries.get("data")
    if data is not None:
        # Drawn inputs need no record.
        from snstat.files.data_form import parse_data

        data = parse_data(data, simulation.batch)
    return Run(
        subject=subject,
        simulation=simulation,
        finite=np.array(
            [Flag().plain("finite", entry_of("a layer", row, "finite")) for row in rows]
        ),
        statistics=MappingProxyType(statistics),
        outlook=None if outlook is None else Outlook(**read("outlook", entries, OUTLOOK)),
        partial=partial,
        data=data,
        log_kurtosis=_layer_mean("log_kurtosis", entries.get("log_kurtosis")),
        theory_ends=_theory_ends("theory_ends", entries.get("theory_ends"), subject.depth),
    )


def _parse_subject(entries: dict[str, Any], *, earlier: bool) -> tuple[Subject, Simulation]:
    """Return what a run is of, and how that was sampled. An `earlier` file is one of schema 1."""
    if not earlier and entries.get("module") is not None:
        for key in ("stack", "network"):
            if entries.get(key) is not None:
                raise FormError(f"it has both a {key} and a module")
        # A file holds one kind of subject, and few hold modules.
        from snstat.files.module_form import parse_module

        return parse_module(entries)
    later = {} if earlier else LATER_SIMULATION
    subject = parse_subject(entries, earlier=earlier)
    found = read("simulation", entries, SIMULATION | later)
    units = entries["simulation"].get(NAME)  # files of before lack it
    return subject, Simulation(**found, infinite_width=or_null(OPTIONS[NAME])(NAME, units))


def _trials_had(subject: Subject, simulation: Simulation, layers: int) -> IntArray:
    """Return how many trials had each layer, (layers,)."""
    had = np.full(layers, simulation.trials)
    if subject.what == "module":
        had[1:] = [row.trials for row in subject.rows]
    return had


def _layer_mean(name: str, form: Any) -> LayerMean | None:
    """Return the mean over layers in `form`, None for null."""
    if form is None:
        return None
    entries = entries_of(name, form)
    estimate, stderr = (
        number(f"{name}.{part}", entry_of(name, entries, part)) for part in ("estimate", "stderr")
    )
    if stderr < 0:
        raise FormError(f"{name}.stderr is {stderr:g}, but must be at least 0")
    return LayerMean(estimate, stderr)


def _theory_ends(name: str, form: Any, depth: int) -> tuple[TheoryEnd, ...]:
    """Return where theory of so many layers ends; stacks and older files have no such list."""
    if form is None:
        return ()
    if not isinstance(form, list):
        raise FormError(f"{name} is {quoted(form)}, but must be a list")
    entries = [entries_of(f"an entry of {name}", entry) for entry in form]
    found = tuple(
        TheoryEnd(**{key: reader(key, entry_of(name, own, key)) for key, reader in END.items()})
        for own in entries
    )
    for end in found:
        if end.layer > depth:
            raise FormError(f"{name} has layer {end.layer}, but the network has {depth}")
    return found


def _statistic(name: str, rows: list[dict[str, Any]], *, scored: bool) -> Statistic:
    forms = [entries_of(name, entry_of(f"layer {i}", row, name)) for i, row in enumerate(rows)]
    estimate, stderr, theory = (
        np.array([number_of(f"{name}.{key}", entry_of(name, form, key)) for form in forms])
        for key in ("estimate", "stderr", "theory")
    )
    # Older files have neither.
    expected, neglected = (
        np.array([number_of(f"{name}.{key}", form.get(key)) for form in forms])
        for key in ("expected", "neglected")
    )
    known = theory, expected, neglected
    return Statistic(estimate, stderr, *known, logarithmic=name == GRADIENT, scored=scored)


# ------------------------------------------------------------------------ readers of one value


LATER_SIMULATION: dict[str, Reader] = {
    "inputs_digest": or_null(digest),
    **options("standardize", "flatten"),
    "train": flag,
}
SIMULATION: dict[str, Reader] = {
    **options("batch", "trials", "seed", "dtype", "inputs"),
    **options("sampler"),
    "input_mean": or_null(OPTIONS["input_mean"]),
    "input_std": or_null(OPTIONS["input_std"]),
}
END: dict[str, Reader] = {
    "of": Name(ENDS_OF).plain,
    "layer": Whole(0, MAX_DEPTH).plain,
    "reason": word,
}
_ANY = Real(-math.inf, math.inf).plain
OUTLOOK: dict[str, Reader] = {
    "kind": Name(("converges", "vanishes", "silent", "explodes", "neutral", "drifts")).plain,
    "mean": or_null(_ANY),
    "variance": or_null(Real(0.0, math.inf).plain),
    "rate": or_null(_ANY),
    "gradient_growth": or_null(Real(0.0, math.inf).plain),
    "gradient_factor": or_null(Real(0.0, math.inf).plain),
}
