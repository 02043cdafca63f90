"""Saved results are read back as the same record; errors say how a file is damaged."""

from __future__ import annotations

import copy
import json
import math
import pickle

import numpy as np
import pytest

import snstat
from snstat.errors import InputFileError, InvalidValueError
from snstat.experiment.plan import Plan
from snstat.files.saved import plain, runs_to_json
from snstat.results import STATISTICS


@pytest.fixture(scope="module")
def run():
    return snstat.propagate("relu", 3, width=9, batch=3, trials=2, bias_std=0.1, seed=4)


@pytest.fixture
def document(run):
    return json.loads("".join(runs_to_json([run])))


def test_a_saved_run_is_read_back_exactly(run, tmp_path):
    path = tmp_path / "run.json"
    snstat.save(run, path)
    loaded = snstat.load(path)
    assert (loaded.stack, loaded.simulation, loaded.partial) == (run.stack, run.simulation, False)
    assert dict(loaded.outlook) == dict(run.outlook)
    np.testing.assert_array_equal(loaded.finite, run.finite)
    for name in STATISTICS:
        for column in ("estimate", "stderr", "theory", "expected", "neglected", "z"):
            np.testing.assert_array_equal(
                getattr(loaded.statistics[name], column), getattr(run.statistics[name], column)
            )
    assert "".join(runs_to_json([loaded])) == "".join(runs_to_json([run]))


def test_several_runs_are_read_back_in_order(run, tmp_path):
    path = tmp_path / "runs.json"
    other = snstat.propagate("tanh", 2, width=5, batch=2, trials=2)
    for several in ([run, other], (run, other)):
        snstat.save(several, path)
        assert [loaded.stack for loaded in snstat.load_all(path)] == [run.stack, other.stack]
    snstat.save([run], path)
    assert snstat.load(path).stack == run.stack


@pytest.mark.parametrize("value", [[], None, 3, "run", [3], {"a": 1}])
def test_only_runs_are_saved(value, tmp_path):
    with pytest.raises(InvalidValueError, match="a run or a list of runs"):
        snstat.save(value, tmp_path / "runs.json")
    assert list(tmp_path.iterdir()) == []


def test_files_without_finite_width_theory_are_read(document, tmp_path):
    for layer in document["runs"][0]["layers"]:
        for name in STATISTICS:
            del layer[name]["expected"]
    loaded = snstat.load(write(tmp_path / "old.json", json.dumps(document)))
    mean = loaded.statistics["mean"]
    assert np.isnan(mean.expected).all()
    # Then z compares with infinite width.
    np.testing.assert_array_equal(mean.z, (mean.estimate - mean.theory) / mean.stderr)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"init": "torch_default"},
        {"init": "glorot_normal", "weight_gain": 0.7},
        {"init": "torch_default", "bias_std": 0.2},
        {"inputs": "uniform", "input_mean": 0.5, "input_std": 2.0, "dtype": "float64"},
    ],
)
def test_a_saved_run_can_be_simulated_again(options):
    run = snstat.propagate("selu", 2, width=8, batch=3, trials=2, seed=7, **options)
    again = Plan.of(run).run()
    for name in STATISTICS:
        np.testing.assert_array_equal(
            again.statistics[name].estimate, run.statistics[name].estimate
        )
        np.testing.assert_array_equal(again.statistics[name].theory, run.statistics[name].theory)


def test_several_runs_need_load_all(run, tmp_path):
    path = tmp_path / "runs.json"
    path.write_text("".join(runs_to_json([run, run])))
    assert len(snstat.load_all(path)) == 2
    with pytest.raises(InputFileError, match="holds 2 runs"):
        snstat.load(path)


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "schema is 'list'"),
        ("{}", "schema is None"),
        ('{"schema": "snstat.fixedpoint/1"}', "snstat.fixedpoint/1"),
        ('{"schema": "snstat.propagation/2"}', "no 'runs'"),
        ('{"schema": "snstat.propagation/2", "runs": []}', "no run"),
        (
            '{"schema": "snstat.propagation/2", "runs": [3]}',
            "not a snstat.propagation/2",
        ),
    ],
)
def test_errors_of_damaged_files_state_the_damage(tmp_path, text, words):
    with pytest.raises(InputFileError) as caught:
        snstat.load(write(tmp_path / "bad.json", text))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda run: run["layers"].clear(),
        lambda run: run["layers"].pop(0),
        lambda run: run["layers"][1].pop("mean"),
        lambda run: run["layers"][1]["mean"].update(estimate="zero"),
        lambda run: run["layers"][1]["mean"].update(estimate=True),
        lambda run: run["layers"][1]["mean"].update(stderr=-0.1),
        lambda run: run["layers"][1]["second_moment"].update(estimate=-0.1),
        lambda run: run["stack"].pop("width"),
        lambda run: run["stack"].update(width="wide"),
        lambda run: run["simulation"].update(trials=2.5),
        lambda run: run["simulation"].update(input_std=1e200),
        lambda run: run.pop("simulation"),
    ],
)
def test_every_kind_of_damage_is_one_error(document, tmp_path, damage):
    damage(document["runs"][0])
    with pytest.raises(InputFileError, match="is not a snstat"):
        snstat.load(write(tmp_path / "bad.json", json.dumps(document)))


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputFileError, match="No such file"):
        snstat.load(tmp_path / "missing.json")
    with pytest.raises(InputFileError, match="directory"):
        snstat.load(tmp_path)
    (tmp_path / "binary.json").write_bytes(bytes(range(256)))
    with pytest.raises(InputFileError, match="not JSON"):
        snstat.load(tmp_path / "binary.json")


def test_numbers_that_are_not_finite_become_null():
    values = {"a": math.nan, "b": [math.inf, 1.0], "c": np.array([[math.nan, 2.0]])}
    assert plain(values) == {"a": None, "b": [None, 1.0], "c": [[None, 2.0]]}


def test_a_run_can_be_copied_and_pickled(run):
    for again in (copy.deepcopy(run), pickle.loads(pickle.dumps(run))):  # noqa: S301  # our own bytes
        assert "".join(runs_to_json([again])) == "".join(runs_to_json([run]))


def test_records_read_like_mappings_and_like_objects(run):
    assert run["subject"]["activation"] == run.stack.activation == "relu"
    assert run.mean is run.statistics["mean"]
    layer = run.layers[-1]
    assert layer.layer == 3
    assert layer.mean.estimate == run.mean.estimate[3]
    assert [entry.layer for entry in run.layers[1:3]] == [1, 2]
    with pytest.raises(AttributeError):
        _ = run.median
    with pytest.raises(AttributeError):
        _ = layer.median
    with pytest.raises(KeyError):
        _ = run["median"]
    assert run.first_nonfinite is None
    assert "<table" in run._repr_html_()


@pytest.mark.parametrize("path", [3, None, b"x.json", ["x.json"]])
def test_invalid_file_names_are_refused(path):
    with pytest.raises(InvalidValueError, match="the name of a file"):
        snstat.load(path)


def of_schema_1(run):
    """Return the document of a run as schema 1 wrote it."""
    document = json.loads("".join(runs_to_json([run])))
    document["schema"] = "snstat.propagation/1"
    stack = document["runs"][0]["stack"]
    kept = ("activation", "depth", "width", "input_width", "init", "weight_gain", "bias_std")
    document["runs"][0]["stack"] = {name: stack[name] for name in kept}
    return document


@pytest.mark.parametrize(("width", "readable"), [(8, True), (6, False)])
def test_rectangular_orthogonal_layers_of_schema_1_are_refused(tmp_path, width, readable):
    inputs = np.random.default_rng(0).standard_normal((4, width))
    run = snstat.propagate("relu", 2, width=8, init="orthogonal", inputs=inputs, trials=2)
    path = tmp_path / "old.json"
    path.write_text(json.dumps(of_schema_1(run)), encoding="utf-8")
    if readable:
        assert snstat.load(path).stack.init == "orthogonal"
    else:
        with pytest.raises(InputFileError, match=r"an orthogonal layer from 6 to 8 units.*again"):
            snstat.load(path)


@pytest.mark.parametrize("content", [b"cell,width\n1,2\n", b"run,activation\n", b"PAR1\x15\x04"])
def test_tables_are_told_as_such(tmp_path, content):
    path = tmp_path / "sweep.csv"
    path.write_bytes(content)
    with pytest.raises(InputFileError, match="is a table, with no run in it"):
        snstat.load(path)
