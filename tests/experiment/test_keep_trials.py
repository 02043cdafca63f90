"""Values of every trial: kept on request, with the estimates as their means, saved and read
back."""

from __future__ import annotations

import csv
import io
import json
import math
import pickle

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import snstat
from snstat.cli import run as command
from snstat.engine.footprint import footprint
from snstat.engine.simulate import simulate
from snstat.errors import InputFileError
from snstat.experiment.inputs import DrawnInputs
from snstat.experiment.plan import Plan
from snstat.files.saved import runs_to_json
from snstat.files.schema import schema
from snstat.network.stack import Stack
from snstat.results import GRADIENT, MEASURED

TRIALS, DEPTH = 5, 4
OPTIONS = {"width": 12, "batch": 6, "trials": TRIALS, "bias_std": 0.1, "seed": 3}


def kept(sampler="dense", activation="tanh", **options):
    options = OPTIONS | {"backward": True, "keep_trials": True} | options
    return snstat.propagate(activation, DEPTH, sampler=sampler, **options)


@pytest.fixture(scope="module")
def run():
    return kept()


@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_estimates_are_means_over_kept_trials(sampler, activation):
    run = kept(sampler, activation)
    assert set(run.statistics) == {*MEASURED, GRADIENT}
    for name, statistic in run.statistics.items():
        values = statistic.trials
        assert values.shape == (TRIALS, DEPTH + 1)
        if name == GRADIENT:
            values = np.log(values)
        for layer in range(DEPTH + 1):
            column = [float(value) for value in values[:, layer]]
            mean = sum(column) / TRIALS
            spread = sum((value - mean) ** 2 for value in column) / (TRIALS - 1)
            estimate = statistic.estimate[layer]
            told = math.log(estimate) if name == GRADIENT else estimate
            # A few roundings of float64, relative to the largest trial.
            scale = 1e-14 * (1 + max(map(abs, column)))
            assert told == pytest.approx(mean, rel=1e-12, abs=scale, nan_ok=True)
            error = math.sqrt(spread / TRIALS)
            assert statistic.stderr[layer] == pytest.approx(error, rel=1e-9, abs=scale, nan_ok=True)


def test_kept_trials_equal_shorter_runs_and_do_not_change_estimates(run):
    plain, one = kept(keep_trials=False), kept(trials=1)
    for name, statistic in run.statistics.items():
        assert plain.statistics[name].trials is None
        np.testing.assert_array_equal(plain.statistics[name].estimate, statistic.estimate)
        # A run of one trial equals the first trial of a longer one, up to the rounding of the
        # gradient's logarithm.
        np.testing.assert_allclose(one.statistics[name].estimate, statistic.trials[0], rtol=1e-14)


def test_kept_trials_are_read_only(run):
    for copy in (run, pickle.loads(pickle.dumps(run))):  # noqa: S301  # our own
        with pytest.raises(ValueError, match="read-only"):
            copy.variance.trials[0, 0] = 1.0
    np.testing.assert_array_equal(copy.variance.trials, run.variance.trials)


@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
def test_an_interrupted_run_keeps_the_layers_that_all_trials_completed(sampler):
    calls = []

    def interrupt(done):
        calls.append(done)
        if len(calls) == 2:
            raise KeyboardInterrupt

    # The run takes seconds, because on a busy machine the first progress call may come late.
    stack = Stack.build("tanh", 1_000_000, 4)
    settings = {"trials": 2, "seed": 0, "dtype": "float32", "sampler": sampler}
    inputs = DrawnInputs("normal", 4, 4, 0.0, 1.0)
    measured = simulate(stack, inputs, keep_trials=True, progress=interrupt, **settings)
    assert measured.interrupted
    assert measured.values.shape == (2, len(measured.finite), len(MEASURED))
    np.testing.assert_array_equal(measured.values.mean(axis=0), measured.estimate)


def test_kept_trials_are_read_back_from_a_file(run, tmp_path):
    path = tmp_path / "run.json"
    snstat.save(run, path)
    loaded = snstat.load(path)
    for name, statistic in run.statistics.items():
        np.testing.assert_array_equal(loaded.statistics[name].trials, statistic.trials)
    assert "".join(runs_to_json([loaded])) == path.read_text()
    assert "trials" not in json.loads("".join(runs_to_json([kept(keep_trials=False)])))["runs"][0]


def test_missing_values_are_read_back_as_missing(tmp_path):
    run = kept(activation="relu", weight_gain=1e15, backward=False)
    assert not run.finite.all()
    snstat.save(run, tmp_path / "run.json")
    loaded = snstat.load(tmp_path / "run.json")
    np.testing.assert_array_equal(loaded.variance.trials, run.variance.trials)


def put(value):
    def change(trials):
        trials["variance"][1][2] = value

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put(-1.0), "variance is -1 in trial 1, layer 2, but must be from 0 to inf"),
        (put("x"), "must be a number or null"),
        (put(7.0), "the mean of trials.variance is not the estimate in layer 2"),
        (lambda trials: trials.pop("gradient"), "trials has no 'gradient'"),
        (lambda trials: trials["mean"].pop(), "must be 5 lists, each of 5 numbers"),
        (lambda trials: trials["mean"][0].pop(), "must be 5 lists, each of 5 numbers"),
        (lambda trials: trials.update(mean=3), "mean is 3, but must be a list"),
    ],
)
def test_damaged_trials_are_refused(run, tmp_path, change, reason):
    document = json.loads("".join(runs_to_json([run])))
    change(document["runs"][0]["trials"])
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InputFileError, match=reason):
        snstat.load(path)


def test_the_memory_estimate_includes_kept_trials():
    plan = Plan.build("tanh", 1000, width=4, batch=4, trials=100)
    settings = {"dtype": "float32", "sampler": "dense", "threads": 1, "backward": False}
    needed = [
        footprint(plan.stack, plan.inputs, trials=100, keep_trials=keep, **settings)
        for keep in (False, True)
    ]
    # At least one set of the arrays, at most two.
    arrays = 100 * 1001 * len(MEASURED) * 8
    assert arrays <= needed[1] - needed[0] <= 2 * arrays


def test_the_command_writes_kept_trials(capsys):
    arguments = ["propagate", "-d", "2", "-w", "8", "-b", "4", "-t", "3", "--keep-trials"]
    assert command([*arguments, "-f", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    Draft202012Validator(schema("propagation")).validate(document)
    trials = document["runs"][0]["trials"]
    assert np.shape(trials["variance"]) == (3, 3)
    assert command(arguments) == 2
    assert "--keep-trials cannot be used in a table" in capsys.readouterr().err


def test_csv_has_a_row_for_each_layer_and_trial(capsys):
    arguments = ["propagate", "-d", "2", "-w", "8", "-b", "4", "-t", "3", "-f", "csv"]
    assert command(arguments) == 0
    plain = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert command([*arguments, "--keep-trials"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    layers = [row for row in rows if row["trial"] == ""]
    assert [{k: v for k, v in row.items() if k != "trial"} for row in layers] == plain
    assert [(row["layer"], row["trial"]) for row in rows] == [
        (layer, trial) for layer in "012" for trial in ("", *"012")
    ]
    run = snstat.propagate(depth=2, width=8, batch=4, trials=3, keep_trials=True)
    for row in rows:
        if row["trial"]:
            values = run.variance.trials[int(row["trial"]), int(row["layer"])]
            assert float(row["variance"]) == values
            assert row["variance_stderr"] == row["variance_z"] == ""
