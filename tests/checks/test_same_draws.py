"""Networks that differ in a layer, compared with `--same-seed`: what is drawn alike is compared
alike, and what is not, as independent draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

import snstat
from snstat.checks.matching import places
from snstat.checks.same_draws import draws_of, rounding
from snstat.errors import SnstatError
from snstat.results import STATISTICS
from tests.checks.cases import NORM, dense, network_case, network_of

SAMPLING = {"batch": 8, "trials": 8}
WIDE = 64
SAME = {"kind": "scale", "factor": 1.0, "name": "same"}
PLAIN = [
    dense(WIDE, name="a"),
    NORM | {"name": "n"},
    dense(WIDE, "relu", name="c"),
    dense(10, name="head"),
]
INSERTED = [PLAIN[0], SAME, *PLAIN[1:]]
UNIFORM = [dense(WIDE, "relu")] * 12
WITH_NORM = [*UNIFORM, NORM | {"name": "n"}]


def network(layers):
    return network_of(*layers, channels=WIDE)


def judged(tmp_path, layers, baseline, **options):
    """Return the check by SN701 of a network against the run of another, of one seed."""
    options = SAMPLING | options
    snstat.save(snstat.propagate(network(baseline), **options), tmp_path / "base.json")
    return snstat.check(
        network(layers),
        baseline=tmp_path / "base.json",
        same_seed=True,
        select=["SN701"],
        **options,
    )


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(
    ("layers", "baseline", "said"),
    [
        (INSERTED, PLAIN, "from layer 3 (n) on"),
        (PLAIN, INSERTED, "from layer 2 (n) on"),
        ([*PLAIN, SAME], PLAIN, None),
        (PLAIN, [*PLAIN, SAME], None),
        (WITH_NORM, UNIFORM, "a uniform stack has a sampler of its own"),
        (UNIFORM, WITH_NORM, "a uniform stack has a sampler of its own"),
        (PLAIN, PLAIN, None),
        (UNIFORM, UNIFORM, None),
    ],
    ids=["inserted", "removed", "added", "taken", "norm", "no norm", "equal", "equal stacks"],
)
def test_another_layer_is_no_finding_but_one_note(tmp_path, layers, baseline, said, backward):
    found = judged(tmp_path, layers, baseline, backward=backward)
    assert found.findings == ()
    notes = [note for note in found.notes if "draws" in note]
    if said is None and (not backward or len(layers) == len(baseline)):
        assert notes == []
    else:
        (note,) = notes
        assert (said or "gradients depend on all layers") in note


@pytest.mark.parametrize(
    ("layers", "baseline", "words"),
    [
        # Before the layer that was inserted, to the last bit.
        (
            [PLAIN[0] | {"weight_gain": 1.0001}, *INSERTED[1:]],
            PLAIN,
            "to the last bit from layer 1",
        ),
        # After it, beyond chance.
        ([*INSERTED[:4], PLAIN[3] | {"weight_gain": 2.0}], PLAIN, "baseline at layer 5"),
        ([*PLAIN[:2], PLAIN[2] | {"weight_gain": 3.0}, PLAIN[3]], INSERTED, "baseline at layer 3"),
        # By more than rounding.
        (
            [one | {"weight_gain": 1.4143} for one in UNIFORM] + WITH_NORM[-1:],
            UNIFORM,
            "layer 1 on",
        ),
        (
            UNIFORM,
            [*UNIFORM[:6], UNIFORM[6] | {"weight_gain": 1.4143}, *WITH_NORM[7:]],
            "layer 7 on",
        ),
    ],
)
def test_a_change_beside_another_layer_is_found(tmp_path, layers, baseline, words):
    (entry,) = judged(tmp_path, layers, baseline).findings
    assert words in entry.message


def test_one_trial_is_enough_for_the_same_draws_only(tmp_path):
    assert judged(tmp_path, [*PLAIN, SAME], PLAIN, trials=1).passed
    with pytest.raises(SnstatError, match="trials of the baseline is 1"):
        judged(tmp_path, INSERTED, PLAIN, trials=1)


def test_layers_have_the_draws_of_their_numbers():
    """The first layers of networks that part later are equal, and numbers that move are not."""
    mine = snstat.propagate(network(INSERTED), **SAMPLING)
    theirs = snstat.propagate(network(PLAIN), **SAMPLING)
    draws = draws_of(mine, theirs)
    assert draws.first == 3
    beside = places(mine, theirs)
    equal = [
        beside[layer] >= 0
        and mine.variance.estimate[layer] == theirs.variance.estimate[beside[layer]]
        for layer in range(mine.depth + 1)
    ]
    # A norm of the same values, which no draw changes, is the same.
    assert equal == [True, True, False, True, False, False]


@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
@pytest.mark.parametrize("activation", ["relu", "selu", "tanh"])
def test_samplers_differ_by_less_than_rounding_is_said_to_do(activation, sampler):
    layers = [dense(WIDE, activation, weight_gain=1.5)] * 16
    runs = [
        snstat.propagate(network(some), **SAMPLING, sampler=sampler)
        for some in (layers, [*layers, NORM])
    ]
    assert [run.stack is None for run in runs] == [False, True]
    judged = network_case(*layers, batch=8, channels=WIDE)
    allowed = rounding(judged, runs[0])
    for name in set(STATISTICS) - {"dead_fraction"}:
        first, second = (run.statistics[name].estimate[:17] for run in runs)
        size = np.abs(first)
        if name == "mean":
            size = np.sqrt(runs[0].second_moment.estimate)
        elif name == "cosine":
            size = np.ones(17)
        elif name != "kurtosis":
            size = runs[0].second_moment.estimate
        assert (np.abs(first - second) <= 4 * allowed * size).all(), name


def test_rounding_grows_as_theory_says_that_differences_do():
    """Linear layers of gain 2 multiply squares by 4, forward and on the way back: the product of
    both stays, and the errors of layers add up. Those of tanh of a large gain multiply too."""
    run = snstat.propagate(network(UNIFORM), **SAMPLING)
    judged = network_case(*[dense(WIDE, weight_gain=2.0)] * 12, batch=8, channels=WIDE)
    unit = 2.0**-24
    expected = [unit * math.sqrt(WIDE * (layer + 1)) for layer in range(13)]
    assert rounding(judged, run) == pytest.approx(expected, rel=1e-9)
    chaotic = network_case(*[dense(WIDE, "tanh", weight_gain=20.0)] * 12, batch=8, channels=WIDE)
    products = np.exp(chaotic.gradients) * chaotic.predicted("second_moment")
    expected = [
        unit * math.sqrt(WIDE * sum(products[: layer + 1]) / products[layer]) for layer in range(13)
    ]
    assert rounding(chaotic, run) == pytest.approx(expected, rel=1e-9)
    assert expected[-1] > 10 * expected[6] > 100 * expected[1]


def test_rounding_that_chaos_has_grown_hides_no_change(tmp_path):
    """Over 16 layers of sin(30 x) it grows beyond the signal. Then layers are compared as
    independent draws."""
    layer = dense(WIDE, "sine:30", init="lecun_normal")
    wild = [layer] * 16
    assert judged(tmp_path, [*wild, NORM], wild, sampler="matrix-free").findings == ()
    changed = [*wild[:14], layer | {"weight_gain": 0.02}, layer]
    (entry,) = judged(tmp_path, changed, wild, sampler="matrix-free").findings
    assert "differs from the baseline at layer 15" in entry.message
