"""Standardized weights in the limit of infinite width: Gaussian ones that act on centred inputs."""

from __future__ import annotations

import numpy as np
import pytest

from snstat.engine.general.population import PopulationSampler
from snstat.experiment.inputs import DrawnInputs
from snstat.network.network import Network
from snstat.network.population import Population

BATCH, UNITS, SEED = 3, 40, 5
STANDARDIZED = {"weights": "standardized", "bias_std": 0.3}
LAYERS = {
    "dense": ({"kind": "dense", "width": 6}, []),
    "conv": ({"kind": "conv", "channels": 6, "kernel": 3, "padding": "circular"}, [8]),
    "groups": (
        {"kind": "conv", "channels": 6, "kernel": 3, "padding": "circular", "groups": 2},
        [8],
    ),
    "lstm": ({"kind": "lstm", "width": 6}, [4]),
}
CASES = pytest.mark.parametrize("sampler", ["dense", "matrix-free"])


def drawn_of(form, grid, sampler):
    """Return what makes anew what the only layer of a trial draws from, its row, and its input."""
    network = Network.read({"input": {"channels": 4, "grid": grid}, "layers": [form]})
    population = Population.of(network, UNITS)
    inputs = DrawnInputs("normal", network.input.units, BATCH, 0.0, 1.0)
    options = {"train": True, "sampler": sampler, "backward": True}
    made = PopulationSampler(population, inputs, 1, SEED, "float64", **options)
    (row,) = population.wide.rows()
    return lambda: made.draw(0, 1), row, made.first(0)


@CASES
@pytest.mark.parametrize("name", LAYERS)
def test_what_all_inputs_have_in_common_does_not_count(name, sampler):
    """Neither ahead, nor does the gradient have any of it; plain weights carry it on."""
    form, grid = LAYERS[name]
    for options, counts in ((STANDARDIZED, False), ({"bias_std": 0.3}, True)):
        draw, row, x = drawn_of(form | options, grid, sampler)
        found = row.layer.sample([x], draw())
        moved = row.layer.sample([x + 10.0], draw())
        # Products of 12 inputs of 10, most of whose digits cancel.
        alike = np.abs(moved.values - found.values).max() < 1e-11 * 10.0
        (slope,) = found.pull(np.random.default_rng(0).normal(size=found.values.shape))
        axes = (0, *range(2, slope.ndim))
        common = np.abs(slope.sum(axis=axes)).max()
        assert np.abs(slope).max() > 1e-2
        assert found.values.std() > 0.05
        assert alike != counts
        assert (common < 1e-11) != counts


@CASES
def test_matrices_that_act_at_several_times_act_on_centred_units(sampler):
    """Those of inputs, at all times at once and at one, and those of units."""
    for options, counts in ((STANDARDIZED, False), ({}, True)):
        draw, row, _ = drawn_of(LAYERS["lstm"][0] | options, [4], sampler)
        groups = row.layer.tied(row.layer.matrices(row.before))
        random = np.random.default_rng(1)
        for tied, (first, *_) in zip(draw().tied(groups, 100), groups, strict=True):
            for times in ((), (4,)):
                x = random.normal(size=(*times, first.fan_in, BATCH))
                found = tied.times(x)
                moved = tied.times(x + random.normal(size=(*times, 1, BATCH)))
                back = tied.back(random.normal(size=found.shape))
                assert np.abs(found).max() > 0.1
                assert (np.abs(moved - found).max() < 1e-12) != counts
                assert np.abs(back).max() > 0.1
                assert (np.abs(back.sum(axis=-2)).max() < 1e-12) != counts
