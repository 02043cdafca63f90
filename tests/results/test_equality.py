"""A run equals its copy and what is read back from its file, and nothing else."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

import snstat
from snstat.results import Estimate, InputMoments, NormClasses, Outlook, Statistic


def data():
    """Return samples of unequal norm, one of them 0."""
    x = np.random.default_rng(0).standard_normal((6, 8))
    x[1] *= 60.0
    x[2] = 0.0
    return x


# Values are missing in each but the first: without --backward or with one trial there is no
# standard error, beyond float32 nothing is finite, and a sample of zeros has no angle.
KINDS = {
    "plain": {},
    "trials": {"backward": True, "keep_trials": True},
    "one trial": {"trials": 1},
    "not finite": {"weight_gain": 1e15},
    "data": {"inputs": data()},
    "pair": {"activation": (np.tanh, lambda x: 1.0 / np.cosh(x) ** 2)},
}


def made(**options):
    usual = {"activation": "relu", "depth": 3, "width": 8, "batch": 3, "trials": 2}
    return snstat.propagate(**usual | options)


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def run(request):
    return made(**request.param)


def test_a_run_equals_its_copies_and_its_file(run, tmp_path):
    snstat.save(run, tmp_path / "run.json")
    same = [
        copy.copy(run),
        copy.deepcopy(run),
        pickle.loads(pickle.dumps(run)),  # noqa: S301  # our own
        snstat.load(tmp_path / "run.json"),
    ]
    for other in same:
        assert run == other
        assert other == run
        assert (run != other) is False
        assert hash(run) == hash(other)
        assert run.layers == other.layers
        assert run.statistics["cosine"] == other.statistics["cosine"]
        assert hash(run.statistics["cosine"]) == hash(other.statistics["cosine"])
    assert len({run, *same}) == 1


def test_another_number_anywhere_is_another_run(run):
    for name, statistic in run.statistics.items():
        for column in ("estimate", "stderr", "theory", "expected", "neglected"):
            values = getattr(statistic, column).copy()
            values[-1] = 0.5 if np.isnan(values[-1]) else values[-1] * 1.000001 + 1e-9
            changed = {**run.statistics, name: replace(statistic, **{column: values})}
            assert replace(run, statistics=MappingProxyType(changed)) != run
    fewer = {name: run.statistics[name] for name in list(run.statistics)[1:]}
    others = {
        "statistics": MappingProxyType(fewer),
        "partial": True,
        "finite": ~run.finite,
        "outlook": Outlook("unknown"),
        "simulation": replace(run.simulation, seed=run.simulation.seed + 1),
        "subject": replace(run.stack, activation="selu"),
    }
    for name, value in others.items():
        assert replace(run, **{name: value}) != run
    assert run != "run"
    assert run.layers != list(run.layers)[1:]


def test_another_seed_is_another_run():
    assert made() == made()
    assert made() != made(seed=1)
    assert made().layers != made(seed=1).layers


def test_missing_values_equal_each_other_and_no_number():
    nan = np.array([1.0, math.nan])
    one, infinite = Statistic(nan, nan, nan), Statistic(np.array([1.0, math.inf]), nan, nan)
    assert one == infinite  # a file holds null for both
    assert one != Statistic(np.array([1.0, 0.0]), nan, nan)
    assert one != Statistic(nan[:1], nan[:1], nan[:1])
    assert one != Statistic(nan, nan, nan, logarithmic=True)
    assert one != Statistic(nan, nan, nan, trials=np.array([nan]))
    assert Outlook("drifts", mean=None) == Outlook("drifts", mean=math.nan)
    assert Outlook("drifts", mean=None) != Outlook("drifts", mean=0.0)
    assert one != Estimate(1.0, None, None, None, None, None)


def test_records_of_data_are_equal_by_value():
    def classes(cosine):
        return NormClasses((0.0, 1.0), (1, 2), ((math.nan, math.nan), (math.nan, cosine)), 1.5)

    assert classes(0.25) == copy.deepcopy(classes(0.25))
    assert hash(classes(0.25)) == hash(classes(0.25))
    assert classes(0.25) != classes(0.5)
    missing = float("nan")  # another object than math.nan
    moments = InputMoments(0.0, 1.0, 1.0, 1.0, 1.0, math.nan, 3.0, norms=classes(0.25))
    assert moments == replace(moments, cosine=missing)
    assert moments != replace(moments, cosine=0.0)


def test_how_data_were_prepared_does_not_make_runs_differ():
    """The digest is that of the values that entered, however they came about."""
    simulation = made().simulation
    assert replace(simulation, standardize=True, flatten=True) == simulation
    assert replace(simulation, train=False) != simulation
