"""What the benchmark of the example networks compares with: PyTorch measures the same statistics of
the same layers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.engine.tensor import MEASURED_OF_TENSORS
from snstat.network.network import Network
from tests.benchmarks.examples import NAMES, inputs_of, of_snstat
from tests.engine import tensor_oracle
from tests.peers.networks import example

pytestmark = pytest.mark.peers
torch = pytest.importorskip("torch")
examples_torch = pytest.importorskip("tests.benchmarks.examples_torch")

BATCH = 4


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("grid", [(), (5,), (3, 4)], ids=str)
def test_statistics_are_those_of_their_definitions(grid, turned):
    """Of values with zeros at a sample, a channel and a position; with channels in memory last
    too."""
    values = np.maximum(np.random.default_rng(0).normal(0.3, 1.0, (BATCH, 6, *grid)), -0.5)
    values[1], values[:, 2] = 0.0, -0.5
    x = torch.from_numpy(values)
    if turned and grid:
        x = x.movedim(1, -1).contiguous().movedim(-1, 1)
    found = examples_torch.statistics(x, -0.5, (-0.5, 1.0))
    wanted = tensor_oracle.statistics(values, "SU" + "P" * len(grid), (-0.5, math.inf))
    wanted["saturated_fraction"] = np.mean((values <= -0.5) | (values >= 1.0))
    for name, own in zip(MEASURED_OF_TENSORS, found, strict=True):
        # A vector has no positions, of which snstat measures nothing then.
        expected = wanted[name] if grid or "position" not in name else math.nan
        assert own == pytest.approx(expected, rel=1e-9, nan_ok=True), name


@pytest.mark.parametrize("name", NAMES)
def test_a_program_measures_all_layers_and_gradients(name):
    network = example(name)
    rows, squares = examples_torch.Program(network, BATCH, backward=True)()
    assert rows.shape == (network.depth, len(MEASURED_OF_TENSORS))
    assert np.isfinite(rows[:, :3]).all()
    first = 1 if network.input.tokens else 0
    assert set(squares) >= {first, network.depth}
    assert set(squares) <= set(range(first, network.depth + 1))
    forward, none = examples_torch.Program(network, BATCH, backward=False)()
    assert forward.shape == rows.shape
    assert not none


@pytest.mark.parametrize("name", ["snn_conv", "lstm", "encoder_prenorm", "wavenet", "acgan"])
def test_second_moments_and_gradients_are_those_of_snstat(name):
    """Means of eight networks of each, in logarithms: eight standard errors of their difference, as
    the error of eight trials is itself uncertain by 27 %, and rounding of float32."""
    torch.manual_seed(3)
    network = example(name)
    program = examples_torch.Program(network, 32, backward=True)
    runs = [program() for _ in range(8)]
    theirs = np.array([np.log(rows[:, 2]) for rows, _ in runs])
    slopes = np.array([math.log(squares[0] / squares[network.depth]) for _, squares in runs])
    measured = of_snstat(network, 32, backward=True)()
    own = measured.estimate[1:, 2], measured.stderr[1:, 2]
    errors = np.hypot(theirs.std(axis=0, ddof=1) / math.sqrt(8.0), own[1] / own[0])
    assert (np.abs(theirs.mean(axis=0) - np.log(own[0])) < 8.0 * errors + 1e-5).all()
    log = measured.log_gradient[:, 0]
    error = math.hypot(slopes.std(ddof=1), log.std(ddof=1)) / math.sqrt(8.0)
    assert abs(slopes.mean() - log.mean()) < 8.0 * error + 1e-5


def test_inputs_of_the_examples_are_normal_or_tokens():
    assert inputs_of(example("transformer"), 2).tokens == 1000
    other = Network.read(
        {"input": {"channels": 3, "grid": [2]}, "layers": [{"kind": "dense", "width": 2}]}
    )
    assert inputs_of(other, 2).parameters == (0.0, 1.0)
