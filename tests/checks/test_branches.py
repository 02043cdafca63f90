"""What rules make of the branches of sums: what these lose, the sum still has."""

from __future__ import annotations

import numpy as np
import pytest

import snstat
from tests.checks.cases import NORM, dense, network_case, network_of, repeated, residual

SAMPLING = {"batch": 8, "trials": 4, "backward": True}
ADD = {"kind": "add", "name": "sum", "inputs": ["input", "previous"]}
# After these, samples have a cosine of 0.997: softplus and two sigmoids of Gaussian inputs.
ALIKE = [NORM, dense(64, "softplus"), dense(64, "sigmoid"), dense(64, "sigmoid"), dense(64)]


def of_64(*layers):
    return network_of(*layers, channels=64)


def found(*layers):
    return snstat.check(of_64(*layers), **SAMPLING)


def codes(*layers):
    return {entry.code for entry in found(*layers).findings}


def summed(*layers):
    """Return a residual in other words."""
    return {"kind": "block", "layers": [*layers, ADD]}


@pytest.mark.parametrize("zero", [
    residual(NORM, dense(64, "relu"), dense(64), scale=0.0),
    residual(NORM, dense(64, "relu"), dense(64, weight_gain=0.0)),
    summed(NORM, dense(64, "relu"), dense(64, weight_gain=0.0)),
    summed(dense(64, "relu"), {"kind": "scale", "factor": 0.0}),
])  # fmt: skip
def test_branches_that_are_0_at_first_leave_a_sound_network(zero):
    """ReZero, Fixup: the network is the identity, and gradients are 1 at every sum."""
    result = found(repeated(3, zero))
    assert (result.verdict, result.findings) == ("stable", ())
    run = snstat.propagate(of_64(repeated(3, zero)), **SAMPLING)
    np.testing.assert_allclose(run.second_moment.estimate[-1], run.second_moment.estimate[0])
    assert run.gradient.estimate[0] == 1.0
    # Without the sum, nothing is left.
    alone = codes(dense(64, "relu"), dense(64, weight_gain=0.0), dense(64))
    assert {"SN201", "SN401"} <= alone


def test_branches_that_make_inputs_alike_do_not_make_the_network_so():
    branch = residual(*ALIKE)
    run = snstat.propagate(of_64(repeated(2, branch)), **SAMPLING)
    inner, last = run.cosine.estimate[4], run.cosine.estimate[-1]
    assert inner > 0.98
    assert last < 0.6
    assert "SN301" not in codes(repeated(2, branch))
    assert "SN301" not in codes(repeated(2, summed(*ALIKE)))
    # Without the shortcut they do.
    assert "SN301" in codes(repeated(2, branch | {"skip": 0.0}))
    assert "SN301" in codes(*ALIKE)


def test_a_faint_branch_is_told_as_such_and_not_as_a_lost_signal():
    """Gains of 0.05 leave 0.0025 of the second moment, which is less than 0.005."""
    faint = residual(NORM, dense(64, weight_gain=0.05))
    assert "SN101" not in codes(repeated(2, faint))
    assert "SN101" in codes(repeated(2, faint | {"skip": 0.0}))
    assert codes(repeated(2, residual(NORM, dense(64, weight_gain=0.01)))) == {"SN402"}


def test_a_scale_of_next_to_nothing_has_a_remedy():
    """With it the stream grows without a limit, of which nothing can be judged; without it the
    network keeps its input as it is, so that there is no limit to judge either."""
    tiny = repeated(6, residual(NORM, dense(64, "relu"), dense(64), scale=1e-5))
    told = {entry.code: entry.remedy for entry in found(tiny).findings}
    assert told["SN402"] == 'set "scale" of residual 0.0 to 1 (now 1e-05)'
    assert told["SN201"] == told["SN402"]


def test_the_layers_aside_are_those_that_a_sum_has_another_way_around():
    """By hand: numbers of the layers."""
    known = network_case(
        dense(64),  # 1
        residual(dense(64), residual(dense(64)), shortcut=[dense(64)]),  # 2, (3, 4), 5, 6
        residual(dense(64), skip=0.0),  # 7, 8
        {"kind": "block", "layers": [dense(64), ADD]},  # 9, 10
        {"kind": "block", "layers": [dense(64), ADD | {"kind": "concat"}]},  # 11, 12
        channels=64,
    ).theory
    assert [*np.flatnonzero(known.aside)] == [2, 3, 4, 5, 7, 9]
    assert [*np.flatnonzero(known.bypassed)] == [2, 3, 4, 5, 7, 9, 11]
