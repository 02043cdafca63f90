"""Saved runs with impossible numbers are refused; every file that snstat writes is read."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import snstat
from snstat import cli
from snstat.errors import InputFileError
from snstat.files.run_form import parse_run
from snstat.files.saved import runs_to_json
from snstat.results import RANGES, STATISTICS, within


@pytest.fixture(scope="module")
def text():
    run = snstat.propagate("tanh", 3, width=9, batch=3, trials=5, bias_std=0.1, backward=True)
    return "".join(runs_to_json([run]))


def damaged(text, folder, layer, name, key, value):
    document = json.loads(text)
    document["runs"][0]["layers"][layer][name][key] = value
    path = folder / "run.json"
    path.write_text(json.dumps(document))
    return path


IMPOSSIBLE = [
    ("cosine", 7.0, "from -1 to 1"),
    ("cosine", -1.1, "from -1 to 1"),
    ("dead_fraction", 40.0, "from 0 to 1"),
    ("dead_fraction", -0.1, "from 0 to 1"),
    ("kurtosis", -3.0, "at least 1"),
    ("kurtosis", 0.9, "at least 1"),
    ("variance", -5.0, "at least 0"),
    ("second_moment", -1e-9, "at least 0"),
    ("variance_over_batch", -1.0, "at least 0"),
    ("variance_over_units", -1.0, "at least 0"),
    ("gradient", -1.0, "at least 0"),
]


@pytest.mark.parametrize("key", ["estimate", "theory", "expected"])
@pytest.mark.parametrize(("name", "value", "bound"), IMPOSSIBLE)
def test_values_out_of_range_are_refused(text, tmp_path, name, value, bound, key):
    path = damaged(text, tmp_path, 2, name, key, value)
    words = f"{name}.{key} is {value:g} in layer 2, but must be {bound}"
    with pytest.raises(InputFileError) as caught:
        snstat.load(path)
    assert words in str(caught.value)


def test_every_command_refuses_values_out_of_range(text, tmp_path, capsys):
    path = damaged(text, tmp_path, 1, "cosine", "estimate", 7.0)
    for arguments in (["check", str(path)], ["plot", str(path), "-o", str(tmp_path / "x.png")]):
        assert cli.run(arguments) == 2
        assert "cosine.estimate is 7 in layer 1" in capsys.readouterr().err
    assert cli.run(["check", "--baseline", str(path)]) == 2


@pytest.mark.parametrize(
    ("name", "key", "value", "bound"),
    [
        ("mean", "stderr", -0.1, "at least 0"),
        ("variance", "neglected", -0.1, "at least 0"),
        # Five values in [−1, 1] have a standard deviation of at most 2·½·√(5/4); that of their mean
        # is √5 times less: ½.
        ("cosine", "stderr", 0.51, "at most 0.5 for 5 trials"),
        ("dead_fraction", "stderr", 0.26, "at most 0.25 for 5 trials"),
        ("variance", "estimate", 50.0, "at most the second moment"),
        ("variance_over_batch", "estimate", 50.0, "at most the variance"),
        ("variance_over_units", "estimate", 50.0, "at most the variance"),
        ("mean", "estimate", -50.0, "at most the square root of the second moment"),
        ("variance", "theory", 1e9, "at most the second moment"),
        ("variance_over_batch", "theory", 1e9, "at most the variance"),
        ("variance_over_units", "theory", 1e9, "at most the variance"),
        ("mean", "theory", 1e9, "at most the square root of the second moment"),
        ("mean", "stderr", 1e9, r"at most 0\.\d+ for 5 trials"),
        ("variance", "stderr", 1e9, r"at most 0\.\d+ for 5 trials"),
        ("second_moment", "stderr", 1e9, r"at most 0\.\d+ for 5 trials"),
        ("largest", "stderr", 1e9, r"at most \d\.\d+ for 5 trials"),
        ("kurtosis", "stderr", 1e9, r"at most \d\.\d+ for 5 trials"),
        ("gradient", "stderr", 1e9, r"at most 36\d\.?\d* for 5 trials"),
    ],
)
def test_contradicting_numbers_are_refused(text, tmp_path, name, key, value, bound):
    with pytest.raises(InputFileError, match=bound):
        snstat.load(damaged(text, tmp_path, 2, name, key, value))


@pytest.mark.parametrize(
    ("layer", "name", "value", "bound"),
    [
        (2, "cosine", -0.51, "at least -0.5 for 3 samples"),
        (3, "gradient", 3.0, "1 in the last layer"),
        (2, "largest", 0.2, "at least the absolute value of the mean"),
    ],
)
def test_numbers_that_contradict_a_definition_are_refused(
    text, tmp_path, layer, name, value, bound
):
    document = json.loads(text)
    document["runs"][0]["layers"][2]["mean"]["estimate"] = 0.3
    with pytest.raises(InputFileError, match=bound):
        snstat.load(damaged(json.dumps(document), tmp_path, layer, name, "estimate", value))


def test_a_cosine_of_fewer_samples_may_be_lower(text, tmp_path):
    """Two samples that are not 0 may be opposite, whatever the batch."""
    snstat.load(damaged(text, tmp_path, 2, "cosine", "estimate", -0.49))
    document = json.loads(text)
    document["runs"][0]["layers"][2]["zero_samples"]["estimate"] = 0.2
    snstat.load(damaged(json.dumps(document), tmp_path, 2, "cosine", "estimate", -0.9))


@pytest.mark.parametrize("key", ["estimate", "theory", "expected"])
def test_one_sample_has_no_cosine(tmp_path, capsys, key):
    run = snstat.propagate("tanh", 3, width=9, batch=1, trials=5)
    path = damaged("".join(runs_to_json([run])), tmp_path, 2, "cosine", key, 0.125)
    assert cli.run(["check", str(path)]) == 2
    told = f"cosine.{key} is 0.125 in layer 2, but must be null for a batch of 1"
    assert told in capsys.readouterr().err


def test_older_files_expect_a_cosine_of_the_input_of_one_sample(tmp_path):
    run = snstat.propagate("tanh", 3, width=9, batch=1, trials=5)
    path = damaged("".join(runs_to_json([run])), tmp_path, 0, "cosine", "expected", 0.0)
    assert snstat.load(path).statistics["cosine"].expected[0] == 0.0
    assert cli.run(["check", str(path)]) == 0


def test_the_bound_of_a_standard_error_is_sharp():
    """With trials at both ends of the range the standard error of the mean is largest."""
    for trials in (2, 4, 10):
        ends = np.repeat([-1.0, 1.0], trials // 2)
        stderr = ends.std(ddof=1) / math.sqrt(trials)
        assert stderr == pytest.approx(2.0 / 2.0 / math.sqrt(trials - 1), rel=1e-12)


def test_the_bound_of_other_standard_errors_is_sharp(text, tmp_path):
    """Above 0, all trials but one are 0; the squares of means are at most the second moments."""
    for trials in (2, 5, 10):
        values = np.array([3.0 * trials] + [0.0] * (trials - 1))
        assert values.std(ddof=1) / math.sqrt(trials) == pytest.approx(values.mean(), rel=1e-12)
        ends = np.repeat([-3.0, 3.0], trials)
        stderr = ends.std(ddof=1) / math.sqrt(2 * trials)
        assert stderr == pytest.approx(math.sqrt(9.0 / (2 * trials - 1)), rel=1e-12)
    layer = json.loads(text)["runs"][0]["layers"][2]
    variance, second = layer["variance"]["estimate"], layer["second_moment"]["estimate"]
    for name, most in (("variance", variance), ("mean", math.sqrt(second / 4.0))):
        snstat.load(damaged(text, tmp_path, 2, name, "stderr", most))
        with pytest.raises(InputFileError, match=f"{name}.stderr"):
            snstat.load(damaged(text, tmp_path, 2, name, "stderr", 1.00001 * most))


def test_every_statistic_has_a_range():
    assert {*STATISTICS, "gradient"} <= {*RANGES}
    assert within("mean") == (-math.inf, math.inf)


ONES = np.ones((6, 5))
ODD = {
    "constant": ONES,
    "nearly constant": 1000 + 1e-3 * np.random.default_rng(0).normal(size=(6, 5)),
    "one outlier": np.where(np.arange(30).reshape(6, 5) == 0, 5e4, 0.0),
    "repeated": np.tile(np.random.default_rng(1).normal(size=(2, 5)), (3, 1)),
    "huge": 1e18 * np.random.default_rng(2).normal(size=(6, 5)),
    "tiny": 1e-160 * np.random.default_rng(3).normal(size=(6, 5)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ODD)
def test_runs_at_the_edges_of_the_definitions_are_read_back(name, dtype):
    """Constant, collapsed, nearly zero and nearly infinite networks."""
    settings = [{}, {"weight_gain": 1e-6}, {"weight_gain": 30.0}, {"bias_std": 2.0}]
    for number, activation in enumerate(("relu", "tanh", "identity", "hard_tanh")):
        for width, batch, trials in ((1, 2, 1), (2, 1, 3), (8, 5, 2)):
            run = snstat.propagate(
                activation, 12, width=width, batch=batch, trials=trials, inputs=ODD[name],
                dtype=dtype, backward=True, seed=number, **settings[(number + width) % 4],
            )  # fmt: skip
            (form,) = json.loads("".join(runs_to_json([run])))["runs"]
            assert parse_run(form).stack == run.stack
