"""Networks of any layers: theory beside simulation, layer by layer."""

from __future__ import annotations

import copy
import json
import math
import threading
import time
from dataclasses import fields

import numpy as np
import pytest

from snstat.experiment import network_plan
from snstat.experiment.background import aside
from snstat.experiment.network_plan import NetworkPlan
from snstat.experiment.network_theory import predicted_statistics
from snstat.layers.shape import Shape
from snstat.network.network import Network
from snstat.network.run_settings import RunSettings
from snstat.results import GRADIENT, STATISTICS
from snstat.theory.walk import Walk

WIDTH, BATCH, TRIALS = 256, 16, 24
# Theory is at infinite width: at width 256 it may be off by a few times 1/width, relative to E[x²],
# and statistics of 24 trials by 5 standard errors (p < 1e-4 for Student's t of 23 degrees).
ERRORS, BEYOND = 5.0, 8.0 / WIDTH
TRUE = {
    "pre-norm": [
        {"kind": "rms_norm"},
        {"kind": "dense", "width": WIDTH, "activation": "relu"},
        {"kind": "dense", "width": WIDTH, "activation": "tanh"},
    ],
    "dropout": [
        {"kind": "dense", "width": WIDTH, "activation": "relu"},
        {"kind": "dropout", "rate": 0.25},
        {"kind": "dense", "width": WIDTH},
    ],
    "batch norm": [
        {"kind": "dense", "width": WIDTH},
        {"kind": "batch_norm"},
        {"kind": "activation", "activation": "relu"},
        {"kind": "dense", "width": WIDTH},
    ],
}


def network_of(name):
    form = {"name": name, "input": {"channels": WIDTH}, "layers": TRUE[name]}
    return Network.read(form)


def plan_of(name, **options):
    found = {"batch": BATCH, "trials": TRIALS, "seed": 3, "dtype": "float64", "threads": 1}
    return planned(network_of(name), **(found | options))


def planned(network, **options):
    return NetworkPlan.of_settings(network, RunSettings(**options))


@pytest.mark.parametrize("name", TRUE)
def test_theory_is_within_chance_of_simulation(name):
    run = plan_of(name, backward=True).run()
    known = set()
    for statistic in (*STATISTICS, GRADIENT):
        column = run.statistics[statistic]
        here = np.isfinite(column.theory)
        known |= {statistic} if here[1:].all() else set()
        relative = statistic in ("cosine", GRADIENT)
        scale = 1.0 if relative else run.statistics["second_moment"].estimate[here]
        estimate, theory = column.estimate[here], column.theory[here]
        beyond = np.abs(np.log(estimate / theory) if column.logarithmic else estimate - theory)
        assert (beyond <= ERRORS * column.stderr[here] + BEYOND * scale).all(), statistic
    assert known >= {"mean", "variance", "second_moment", "variance_over_batch", "cosine", GRADIENT}
    # Points of a sphere, and activations of them, are not Gaussian.
    unknown = [2, 3] if name == "batch norm" else []
    assert np.flatnonzero(np.isnan(run.statistics["kurtosis"].theory)).tolist() == unknown


def test_layers_have_the_names_kinds_and_shapes_of_the_file():
    run = plan_of("dropout", trials=2).run()
    assert run.network.form == network_of("dropout").form()
    kinds = ["input", "dense", "dropout", "dense"]
    assert [layer.kind for layer in run.layers] == kinds
    rows = [row.name for row in network_of("dropout").rows()]
    assert [layer.name for layer in run.layers] == ["input", *rows]
    assert {layer.shape for layer in run.layers} == {(WIDTH,)}
    form = json.loads(json.dumps(run.layers[2].to_json()))
    assert form["mean"]["estimate"] == run.statistics["mean"].estimate[2]
    assert run.depth == 3


def test_runs_are_equal_if_their_networks_and_numbers_are():
    run = plan_of("dropout", trials=2).run()
    assert run == copy.deepcopy(run)
    assert run == plan_of("dropout", trials=2).run()
    assert run != plan_of("dropout", trials=2, seed=4).run()
    assert run != plan_of("batch norm", trials=2).run()


def test_dropout_is_off_outside_of_training():
    run = plan_of("dropout", trials=2, train=False).run()
    for name in ("mean", "variance", "second_moment", "cosine"):
        column = run.statistics[name]
        assert column.estimate[2] == column.estimate[1]
        assert column.theory[2] == column.theory[1]
    assert not run.simulation.train


def test_inputs_have_the_moments_of_their_law():
    form = {
        "input": {"channels": 8, "kind": "uniform", "mean": 0.5, "std": 2.0},
        "layers": [{"kind": "rms_norm"}],
    }
    run = planned(Network.read(form), batch=4, trials=2).run()
    found = {name: column.theory[0] for name, column in run.statistics.items()}
    # 4 + 1/4, 4·3/4 of a batch of 4, and (1/4)/(17/4).
    assert found["second_moment"] == pytest.approx(4.25)
    assert found["variance_over_batch"] == pytest.approx(3.0)
    assert found["cosine"] == pytest.approx(1 / 17)
    assert found["kurtosis"] == pytest.approx(1.8)


def test_the_variance_over_units_of_data_on_a_grid_is_that_at_each_position():
    form = {"input": {"channels": 3, "grid": [2, 2]}, "layers": [{"kind": "rms_norm"}]}
    rows = np.random.default_rng(2).normal(size=(6, 12)) * np.repeat([1.0, 2.0, 0.5, 3.0], 3)
    run = planned(Network.read(form), inputs=rows, trials=1, dtype="float64").run()
    positions = [row[first : first + 3] for row in rows for first in range(0, 12, 3)]
    expected = sum(position.var() for position in positions) / len(positions)
    column = run.statistics["variance_over_units"]
    for found in (column.estimate[0], column.theory[0], column.expected[0]):
        assert found == pytest.approx(expected, rel=1e-12)


def test_the_variance_of_inputs_of_a_large_mean_does_not_cancel():
    form = {"input": {"channels": 8, "mean": 1e9}, "layers": [{"kind": "rms_norm"}]}
    run = planned(Network.read(form), batch=4, trials=2, dtype="float64").run()
    assert run.statistics["variance"].theory[0] == 1.0


def test_one_sample_has_no_angle():
    run = planned(network_of("dropout"), batch=1, trials=2).run()
    assert np.isnan(run.statistics["cosine"].theory).all()
    assert (run.statistics["variance_over_batch"].theory == 0).all()


def test_statistics_of_theory_follow_from_the_moments_of_pairs():
    """By a plain simulation of correlated numbers: units are independent, samples are not."""
    random, units, batch, mean, own, common = np.random.default_rng(0), 200_000, 3, 0.5, 0.8, 0.6
    shared = random.normal(size=(units, 1)) * common
    x = mean + shared + own * random.normal(size=(units, batch))
    square = mean**2 + common**2 + own**2
    moments = {"mean": mean, "second_moment": square, "gap": own**2, "over_units": square - mean**2}
    unknown = {entry.name: np.full(2, math.nan) for entry in fields(Walk)}
    known = {name: np.full(2, value) for name, value in moments.items()}
    walked = Walk(**unknown | known | {"input": Shape(units), "own": {}})
    inputs = plan_of("dropout").inputs.moments()
    found = predicted_statistics(walked, batch, inputs)
    lengths = np.sqrt((x**2).sum(axis=0))
    # Means of 200,000 independent units: standard errors are below 0.005, five of them 0.025.
    expected = {
        "mean": x.mean(),
        "second_moment": (x**2).mean(),
        "variance": x.var(),
        "variance_over_units": x.var(axis=0).mean(),
        "variance_over_batch": x.var(axis=1).mean(),
        "cosine": (x[:, 0] @ x[:, 1]) / (lengths[0] * lengths[1]),
    }
    for name, value in expected.items():
        assert found[name][1] == pytest.approx(value, abs=0.025), name


class Pressed:
    """What is waited for when an interrupt comes."""

    def result(self, _seconds=None):
        raise KeyboardInterrupt


def test_an_interrupt_while_theory_is_waited_for_keeps_what_was_measured(monkeypatch):
    waited = iter([Pressed()])
    monkeypatch.setattr(network_plan, "aside", lambda work: next(waited, None) or aside(work))
    run = plan_of("dropout").run()
    assert run.partial
    assert np.isfinite(run.variance.estimate).tolist() == [True] * (run.depth + 1)
    assert np.isnan(run.variance.theory[1:]).all()


def test_an_interrupted_run_does_not_wait_for_theory_that_takes_long(monkeypatch):
    monkeypatch.setattr(network_plan, "PATIENCE", 0.01)
    never = threading.Event()

    def interrupted(_finished):
        raise KeyboardInterrupt

    run = plan_of("dropout").run(interrupted, lambda _moments: never.wait())
    assert run.partial
    assert np.isnan(run.variance.theory[1:]).all()
    (end,) = [end for end in run.theory_ends if end.of == "signal"]
    assert end.words("layer 1") == "no theory from layer 1 on: it was not finished"
    # A run that is not interrupted has its theory, however long it takes.
    whole = plan_of("dropout").run(
        None, lambda moments: time.sleep(0.1) or plan_of("dropout").theory(moments)
    )
    assert np.isfinite(whole.variance.theory).all()
