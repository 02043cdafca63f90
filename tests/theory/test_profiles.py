"""Theory at every position is what the walk has averages of."""

from __future__ import annotations

import numpy as np
import pytest

from snstat.experiment.inputs import DrawnInputs
from snstat.network.network import Network
from snstat.theory.profiles import profiles
from snstat.theory.walk import walk

BATCH = 4


def network(*layers, grid):
    return Network.read({"input": {"channels": 6, "grid": grid}, "layers": list(layers)})


def conv(**keys):
    return {"kind": "conv", "channels": 6, "kernel": 3, "activation": "relu"} | keys


def inputs(found):
    return DrawnInputs("normal", found.input.units, BATCH, 0.0, 1.0).moments()


def block(times, *layers):
    return {"kind": "block", "times": times, "layers": list(layers)}


DEEP = (
    conv(stride=2),
    block(40, {"kind": "residual", "layers": [{"kind": "rms_norm"}, conv(), conv()]}),
    block(60, conv(), {"kind": "rms_norm"}),
    {"kind": "global_mean_pool"},
    {"kind": "dense", "width": 3},
)


@pytest.mark.parametrize("grid", [[9], [6, 5]])
def test_profiles_have_the_averages_of_the_walk(grid):
    """In order, through residuals and turns that are left out because they are equal."""
    found = network(*DEEP, grid=grid)
    walked = walk(found, BATCH, inputs(found))
    every = profiles(found, BATCH, inputs(found), range(found.depth + 1))
    assert list(every) == list(range(found.depth + 1))
    for row in found.rows():
        own = every[row.number]
        assert own.second_moment.shape == row.after.grid
        square = walked.second_moment[row.number]
        assert own.second_moment.mean() == pytest.approx(square, rel=1e-14)
        gap = ((1.0 - own.cosine) * own.second_moment).mean()
        assert gap == pytest.approx(walked.gap[row.number], rel=1e-9)
        if row.after.grid:
            assert own.share.mean() == pytest.approx(1.0, rel=1e-14)
            assert own.share.min() == pytest.approx(walked.least_position[row.number], rel=1e-14)
            assert own.share[own.weakest] == own.share.min()
        else:
            assert np.isnan(walked.least_position[row.number])


def test_only_the_layers_asked_for_are_there():
    found = network(*DEEP, grid=[9])
    assert list(profiles(found, BATCH, inputs(found), [3, 0, 200])) == [0, 3, 200]
    assert profiles(found, BATCH, inputs(found), []) == {}


def test_what_theory_does_not_know_has_no_profile():
    found = network(conv(), {"kind": "max_pool", "size": 2}, conv(weight_gain=0.0), grid=[8])
    known = [own.known for own in profiles(found, BATCH, inputs(found), range(4)).values()]
    assert known == [True, True, False, False]
