"""How many threads the trials of a network are worth.

Between kernels a trial is Python, of which one thread of a process runs at a time. Where kernels
are short, threads wait for each other, and two of them take up to twice as long as one alone.
"""

from __future__ import annotations

from itertools import islice

from snstat.engine.costs import DENSE_VALUE, GRADIENT_VALUE, drawn_matrix_work, free_matrix_work
from snstat.engine.general.samplers import is_matrix_free
from snstat.engine.simulate import available_cores
from snstat.network.network import Network
from snstat.network.rows import Row
from snstat.network.run_settings import DENSE

# The work of kernels (see costs.py) in a step of one direction that takes as long as its Python:
# with that much, two threads were measured to be as fast as one.
STEP = 3.0e6
# The layers that stand for all of them.
FIRST = 64


def workers(network: Network, batch: int, *, sampler: str = DENSE, backward: bool = False) -> int:
    """Return how many threads to run trials on: one more for each time that the work of kernels is
    that of the Python around them, at most the cores that this process may use."""
    rows = list(islice(network.rows(), FIRST))
    work = sum(_work(row, batch, sampler, backward=backward) for row in rows)
    steps = sum(row.layer.steps(row.before) for row in rows) * (1 + backward)
    return min(1 + int(work / (STEP * steps)), available_cores())


def _work(row: Row, batch: int, sampler: str, *, backward: bool) -> float:
    """Return the work of a layer's kernels."""
    columns = batch * row.layer.columns(row.before)
    laws = row.layer.matrices(row.before)
    tied = bool(row.layer.tied(laws))
    value = DENSE_VALUE + (GRADIENT_VALUE if backward else 0.0)
    work = value * row.after.units * batch
    for own in laws:
        free = is_matrix_free(own, columns, sampler, backward=backward, tied=tied)
        matrix_work = free_matrix_work if free else drawn_matrix_work
        work += matrix_work(own, columns, backward=backward)
    return work
