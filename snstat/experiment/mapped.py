"""Theory of a traced module: of the layers that it was found to be, for the rows of its trace."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from snstat.errors import SnstatError
from snstat.experiment.inputs import DrawnInputs, DrawnTokens
from snstat.experiment.network_theory import at_width, predicted_statistics
from snstat.experiment.theory_room import theory_bytes, theory_takes
from snstat.limits import free_memory, in_gib
from snstat.network.input_law import InputLaw
from snstat.network.network import Network
from snstat.results import GRADIENT, NO_THEORY, OF_POSITIONS, BoolArray, FloatArray, ModuleSummary
from snstat.results.module import Left
from snstat.sources.mapped import Mapped

# Statistics whose theory holds whatever the axes of a tensor are, and those that of the input, all
# of whose values are independent, does not.
POOLED = frozenset({"mean", "variance", "second_moment", GRADIENT})
BY_AXES = frozenset({"variance_over_units", *OF_POSITIONS})
# The share of the free memory that theory beside a trace may take.
MOST_MEMORY = 0.5
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


def theory_of(
    mapped: Mapped | None,
    module: ModuleSummary,
    batch: int,
    notice: Callable[[str], None] | None = None,
) -> OfRows:
    """Return theory of the rows of a traced module, for `batch` samples. `notice` is told what it
    takes where that is much."""
    from snstat.theory.start import why_no_pairs
    from snstat.theory.walk import walk

    if mapped is None:
        return NOTHING
    if not mapped.entries:
        return OfRows({}, {}, {}, mapped.ends)
    inputs = _inputs(mapped, batch)
    moments = inputs.moments()
    try:
        network = network_of(mapped)
        _require_room(network)
        if notice is not None and (words := theory_takes(network)):
            notice(words)
        walked = walk(network, batch, moments, train=mapped.train)
    except SnstatError as error:  # larger than networks, or their theory, may be
        return OfRows({}, {}, {}, (Left(mapped.places[0].path, str(error)),))
    count = module.depth + 1
    entries, alike = np.full(count, -1), np.zeros(count, np.bool_)
    for row, entry, same in mapped.rows:
        entries[row], alike[row] = entry, same

    def of(name: str, values: FloatArray) -> FloatArray:
        there: BoolArray = (entries >= 0) & (alike | (name in POOLED))
        there[0] |= name not in BY_AXES
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
        (*mapped.ends, *mapped.left(walked.ends, why_no_pairs(network))),
        mapped.drawn,
    )


def _inputs(mapped: Mapped, batch: int) -> DrawnInputs | DrawnTokens:
    shape = mapped.shape
    if shape.tokens:
        return DrawnTokens(shape.positions, batch, shape.tokens)
    return DrawnInputs(mapped.inputs, shape.units, batch, 0.0, 1.0)


def _require_room(network: Network) -> None:
    """Raise SnstatError where pairs of positions take so much that the trace may not get it."""
    needed, free = theory_bytes(network), free_memory()
    if needed > MOST_MEMORY * free:
        asked, most = in_gib(needed, MOST_MEMORY * free)
        words = f"{asked}, more than {most}, a half of what is free"
        raise SnstatError(f"theory of pairs of positions takes {words}; try smaller inputs")
