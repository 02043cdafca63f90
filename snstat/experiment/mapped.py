"""Theory of a traced module: of the layers that it was found to be, for the rows of its trace."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snstat.errors import SnstatError
from snstat.experiment.inputs import DrawnInputs
from snstat.experiment.network_theory import at_width, predicted_statistics
from snstat.network.input_law import InputLaw
from snstat.network.network import Network
from snstat.results import GRADIENT, NO_THEORY, BoolArray, Call, FloatArray, ModuleSummary
from snstat.results.module import Left
from snstat.sources.mapped import Mapped

# Statistics whose theory is that of vectors whatever the axes of a tensor are, and those of the
# input, whose positions have independent values, that do not look at the units alone.
POOLED = frozenset({"mean", "variance", "second_moment"})
OVER_UNITS = "variance_over_units"
# Places that an error names.
MOST_NAMED = 3


@dataclass(frozen=True)
class OfRows:
    """Theory of rows by the names of statistics, each array (rows + 1,), NaN where there is none:
    at infinite width, at the width of the module, and what the latter neglects. `ends` is where it
    ends, and `scored` whether standard errors hold all that it averages over."""

    theory: Mapping[str, FloatArray]
    expected: Mapping[str, FloatArray]
    neglected: Mapping[str, FloatArray]
    ends: tuple[Left, ...] = ()
    scored: bool = True


NOTHING = OfRows({}, {}, {})


def whole_network(mapped: Mapped | None, module: ModuleSummary) -> Network:
    """Return the network that a traced module is. Raises SnstatError with what is none."""
    if mapped is not None and not mapped.missing:
        return network_of(mapped, module.target.rpartition(":")[2])
    reasons = [f"{left.path} ({left.reason})" for left in module.theory_ends[:MOST_NAMED]]
    more = len(module.theory_ends) - len(reasons)
    if mapped is not None and not mapped.ends:
        reasons, more = [mapped.missing], 0
    elif mapped is None:
        reasons = [note for note in module.notes if note.startswith(NO_THEORY)] or [NO_THEORY]
    words = ", ".join([*reasons, f"{more:,} more"] if more > 0 else reasons)
    raise SnstatError(f"{module.target} is no network of layers that snstat knows: {words}")


def network_of(mapped: Mapped, name: str = "") -> Network:
    """Return the network of the layers of a module."""
    return Network(mapped.shape, mapped.block, InputLaw(kind=mapped.inputs), name)


def theory_of(mapped: Mapped | None, module: ModuleSummary, batch: int) -> OfRows:
    """Return theory of the rows of a traced module, for `batch` samples."""
    from snstat.theory.walk import walk

    if mapped is None:
        return NOTHING
    if not mapped.entries:
        return OfRows({}, {}, {}, mapped.ends)
    inputs = DrawnInputs(mapped.inputs, mapped.units, batch, 0.0, 1.0)
    moments = inputs.moments()
    try:
        walked = walk(network_of(mapped), batch, moments, train=mapped.train)
    except SnstatError as error:  # larger than networks may be
        return OfRows({}, {}, {}, (Left(mapped.places[0].path, str(error)),))
    count = module.depth + 1
    entries = np.full(count, -1)
    for row, entry in mapped.rows:
        entries[row] = entry
    known = entries >= 0
    calls = (None, *module.rows)

    def of(name: str, values: FloatArray) -> FloatArray:
        there: BoolArray = known & [_same_as_of_vectors(name, call, module) for call in calls]
        return np.where(there, values[entries], math.nan)

    predicted = predicted_statistics(walked, batch, moments)
    expected, neglected = at_width(walked, batch, moments)
    theory = {name: of(name, values) for name, values in predicted.items()}
    if mapped.gradients and not mapped.missing:
        with np.errstate(over="ignore"):
            theory[GRADIENT] = of(GRADIENT, np.exp(walked.log_gradient))
    return OfRows(
        theory,
        {name: of(name, values) for name, values in expected.items()},
        {name: of(name, values) for name, values in neglected.items()},
        (*mapped.ends, *mapped.left(walked.ends)),
        mapped.drawn,
    )


def _same_as_of_vectors(name: str, call: Call | None, module: ModuleSummary) -> bool:
    """Return whether a statistic of a row is that of vectors, which theory is of."""
    if call is None:
        return name != OVER_UNITS or len(module.input_shape) == 1
    if name in POOLED or name == GRADIENT:
        return True
    axes = call.axes
    return axes is not None and (axes.sample, axes.position, axes.unit) == ((0,), (), (1,))
