"""Which matrices of a network are drawn, and which are sampled without being drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from snstat.engine.costs import drawn_matrix_work, free_matrix_work
from snstat.errors import InvalidValueError
from snstat.layers.container import Container
from snstat.layers.entry import at, chosen
from snstat.layers.initialisers import PLAIN
from snstat.layers.layer import Layer
from snstat.layers.shape import Shape
from snstat.layers.weights import Weights
from snstat.network.network import Network
from snstat.network.rows import Row, different_layers
from snstat.network.run_settings import AUTO, DENSE, MATRIX_FREE, SAMPLERS

# Why a matrix is drawn that could be sampled without, were it alone.
WHOLE = "a layer needs its weights whole"
# From a layer and the shapes before it to how it is sampled.
Found = Callable[[Layer, tuple[Shape, ...]], str | None]


def obstacle(weights: Weights, columns: int, *, backward: bool, tied: bool = False) -> str:
    """Return why a matrix with `columns` samples, at all positions, has to be drawn, or "". If it
    is `tied`, it acts on some of them after the others."""
    if tied and weights.orthogonal:
        return WHOLE
    if weights.form != PLAIN:
        return f"weights are {weights.form}"
    if weights.distribution not in ("normal", "orthogonal"):
        return "weights are neither Gaussian nor orthogonal"
    if weights.bias_std > 0 and weights.bias_distribution != "normal":
        return "biases are not Gaussian"
    least = min(weights.fan_in, weights.fan_out)
    if weights.orthogonal and columns > least:
        return f"weights are orthogonal, and the batch of {columns:,} exceeds {least:,} units"
    if weights.orthogonal and backward and 2 * columns > weights.larger:
        return (
            f"weights are orthogonal, and the batch of {columns:,} exceeds half of"
            f" {weights.larger:,} units, as gradients need"
        )
    return ""


def is_matrix_free(
    weights: Weights, columns: int, asked: str, *, backward: bool, tied: bool
) -> bool:
    """Return whether a matrix with `columns` samples, at all positions, is not drawn; see
    `obstacle`.

    `asked` is "dense" (all are drawn), "matrix-free" (none is that need not be) or "auto", where a
    matrix is drawn if that takes less work.
    """
    if asked == DENSE or obstacle(weights, columns, backward=backward, tied=tied):
        return False
    return asked == MATRIX_FREE or (
        free_matrix_work(weights, columns, backward=backward)
        < drawn_matrix_work(weights, columns, backward=backward)
    )


def samplers(
    network: Network,
    batch: int,
    sampler: str = AUTO,
    *,
    backward: bool = False,
    numbers: Sequence[int] | None = None,
) -> tuple[str | None, ...]:
    """Return how every layer of `network.rows(numbers)` is sampled: "matrix-free" if its matrices
    are not drawn, "dense" if they are, None for a layer without matrices.

    `sampler` is "auto", "dense" or "matrix-free", `backward` whether gradients are needed. Layers
    of a repeated block are asked once, so that a million layers take milliseconds. Raises
    InvalidValueError as `require_sampler`.
    """
    require_sampler(network, batch, sampler, backward=backward)
    seen: dict[tuple[int, tuple[Shape, ...]], str | None] = {}

    def found(layer: Layer, before: tuple[Shape, ...]) -> str | None:
        key = id(layer), before
        if key not in seen:
            seen[key] = _sampler_of(layer, before, batch, sampler, backward=backward)
        return seen[key]

    if numbers is not None:
        return tuple(_named(row, found) for row in network.rows(numbers))
    return tuple(_every(network.block, network.input, found))


def _every(container: Container, shape: Shape, found: Found, *outer: Shape) -> list[str | None]:
    """Return what is `found` of every layer of a container. Repetitions that change no shape are
    gone through once."""
    everything = list[str | None]()
    for turn in range(container.repetitions):
        shapes, own = container.shapes(shape, outer), list[str | None]()
        for place, (label, entry) in enumerate(zip(container.labels, container.parts, strict=True)):
            before = tuple(chosen(shapes, outer, entry.inputs or (place,)))
            with at(container.called(turn)), at(label):
                if isinstance(entry.layer, Container):
                    own += _every(entry.layer, before[0], found, *before[1:])
                else:
                    own.append(found(entry.layer, before))
        if shapes[-1] == shape:
            return everything + own * (container.repetitions - turn)
        everything += own
        shape = shapes[-1]
    return everything


def _named(row: Row, found: Found) -> str | None:
    with at(row.name):
        return found(row.layer, row.before)


def require_sampler(network: Network, batch: int, sampler: str, *, backward: bool) -> None:
    """Raise InvalidValueError for no sampler, and for "matrix-free" if all matrices of the network
    have to be drawn, with the obstacle of the first."""
    if sampler not in SAMPLERS:
        raise InvalidValueError("sampler", sampler, " or ".join(SAMPLERS))
    if sampler != MATRIX_FREE:
        return
    first = ""
    for layer, before in different_layers(network.block, network.input):
        matrices = layer.matrices(before)
        tied = bool(layer.tied(matrices))
        for number, weights in enumerate(matrices):
            found = WHOLE
            if number >= layer.whole:
                columns = batch * layer.columns(before)
                found = obstacle(weights, columns, backward=backward, tied=tied)
            if not found:
                return
            first = first or found
    reason = first or "no layer has weights"
    raise InvalidValueError("sampler", sampler, f"dense where {reason}", "use --sampler auto")


def _sampler_of(
    layer: Layer, before: Sequence[Shape], batch: int, sampler: str, *, backward: bool
) -> str | None:
    matrices = layer.matrices(before)
    if not matrices:
        return None
    if layer.whole:
        return DENSE
    columns, tied = batch * layer.columns(before), bool(layer.tied(matrices))
    free = [is_matrix_free(w, columns, sampler, backward=backward, tied=tied) for w in matrices]
    return MATRIX_FREE if all(free) else DENSE
