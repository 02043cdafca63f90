"""The networks of the benchmark are the same in PyTorch: layers and second moments agree."""

from __future__ import annotations

import numpy as np
import pytest

import snstat
from tests.benchmarks.networks import networks

pytestmark = pytest.mark.peers
networks_torch = pytest.importorskip("tests.benchmarks.networks_torch")

BATCH, TRIALS = 8, 4
WIDTHS = 64, 128


@pytest.mark.parametrize("name", networks(*WIDTHS))
def test_a_program_has_the_rows_and_second_moments_of_its_network(name):
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    program = networks_torch.PROGRAMS[name](BATCH, *WIDTHS, backward=True)
    runs = np.array([np.log(program()[:, 2]) for _ in range(TRIALS)])
    run = snstat.propagate(networks(*WIDTHS)[name], batch=BATCH, trials=TRIALS)
    own = run.second_moment
    assert runs.shape == (TRIALS, run.depth)
    # Both are means of four, in logarithms: eight standard errors of their difference, as the
    # error of four trials is itself uncertain by 40 %, and rounding of sums in float32.
    errors = np.hypot(runs.std(axis=0, ddof=1) / 2.0, own.stderr[1:] / own.estimate[1:])
    far = np.abs(runs.mean(axis=0) - np.log(own.estimate[1:]))
    assert (far < 8.0 * errors + 1e-5).all()
