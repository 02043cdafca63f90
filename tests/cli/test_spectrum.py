"""`snstat spectrum` as a command and in Python: values, formats, layers and errors."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import snstat
from snstat.cli import run
from snstat.engine.general.sampler import General, Walk
from snstat.errors import InvalidValueError
from snstat.experiment.inputs import DrawnInputs
from snstat.experiment.spectrum_plan import SpectrumPlan
from snstat.experiment.spectrum_settings import usual_depths
from snstat.files.schema import schema
from snstat.network.network import Network
from snstat.report.numbers import Notation
from snstat.report.spectrum import columns_of
from snstat.results import LayerSpectrum, SpectrumTheory

SMALL = ("-a", "relu", "-d", "9", "-w", "12", "-t", "3")
FILE = """
input = { channels = 12 }

[[layers]]
kind = "dense"
name = "in"
width = 16
activation = "relu"

[[layers]]
kind = "batch_norm"

[[layers]]
kind = "residual"
name = "body"
layers = [{ kind = "dense", width = 16 }]
"""

WIDENING = """
input = { channels = 5000 }
layers = [{ kind = "dense", width = 2 }, { kind = "dense", width = 5000 }, { kind = "layer_norm" }]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.toml"
    path.write_text(FILE, encoding="utf-8")
    return str(path)


def call(capsys, *arguments):
    code = run(["spectrum", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def document(capsys, *arguments):
    code, out, err = call(capsys, *arguments, "-f", "json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    Draft202012Validator(schema("spectrum")).validate(found)
    return found


def test_the_json_has_what_python_returns(capsys):
    (entry,) = document(capsys, *SMALL)["runs"]
    found = snstat.spectrum("relu", 9, 12, trials=3)
    assert entry["depths"] == [1, 8, 9] == [layer.layer for layer in found.layers]
    assert entry["names"] == ["1", "8", "9"]
    assert entry["stack"]["activation"] == "relu"
    assert (entry["simulation"]["batch"], entry["simulation"]["dtype"]) == (1, "float64")
    for place, layer in enumerate(found.layers):
        np.testing.assert_array_equal(entry["singular_values"][place], layer.singular_values)
        assert layer.singular_values.shape == (3, 12)
        assert (np.diff(layer.singular_values) <= 0).all()
        for name, measure in layer.measures(found.near_zero).items():
            assert entry["measures"][name][place] == dict(measure)
            assert entry["theory"][name][place] == layer.theory[name] == measure.theory
    assert entry["theory"]["mean_square"] == pytest.approx([1.0] * 3, rel=1e-12)


def test_results_depend_on_the_seed_and_on_no_threads():
    one, other = (snstat.spectrum("tanh", 3, 8, trials=4, threads=n) for n in (1, 3))
    for first, second in zip(one.layers, other.layers, strict=True):
        np.testing.assert_allclose(first.singular_values, second.singular_values, rtol=1e-12)
    moved = snstat.spectrum("tanh", 3, 8, trials=4, seed=1)
    assert not np.allclose(moved.layers[0].singular_values, one.layers[0].singular_values)


def test_the_network_is_that_of_a_run_of_one_sample():
    """A linear network has the product of its matrices, which a run sees: |J x|² of its input."""
    options = {"width": 10, "depth": 1, "trials": 1, "dtype": "float64"}
    found = snstat.spectrum("identity", **options)
    ran = snstat.propagate("identity", batch=1, sampler="dense", **options)
    values = found.layers[0].singular_values[0]
    before, after = ran.second_moment.estimate
    assert values[-1] ** 2 <= after / before <= values[0] ** 2
    # One unit of input: the whole Jacobian is the ratio.
    options["width"] = None
    single = snstat.spectrum("identity", widths="1,5", **options | {"depth": None})
    ran = snstat.propagate("identity", widths="1,5", batch=1, sampler="dense",
                           **options | {"depth": None})  # fmt: skip
    before, after = ran.second_moment.estimate
    assert single.layers[0].singular_values[0, 0] ** 2 == pytest.approx(5 * after / before)


def test_measures_are_means_over_trials():
    values = np.array([[2.0, 1.0, 1e-4], [4.0, 0.1, 0.0]])
    found = LayerSpectrum(1, "1", values).measures(0.025)
    squares = [[4.0, 1.0, 1e-8], [16.0, 0.01, 0.0]]
    means = [sum(row) / 3 for row in squares]
    assert found["mean_square"].estimate == pytest.approx(sum(means) / 2)
    assert found["mean_square"].stderr == pytest.approx(abs(means[0] - means[1]) / 2)
    assert (found["largest"].estimate, found["largest"].stderr) == (3.0, 1.0)
    # 0.1 is exactly 0.025 of 4, and counts.
    assert found["near_zero"].estimate == pytest.approx((1 / 3 + 2 / 3) / 2)
    spreads = [np.var(row) / m**2 for row, m in zip(squares, means, strict=True)]
    assert found["relative_variance"].estimate == pytest.approx(sum(spreads) / 2)


def test_zeros_are_near_zero_and_what_is_not_finite_is_missing():
    dead = LayerSpectrum(1, "1", np.zeros((2, 3))).measures(0.1)
    assert (dead["near_zero"].estimate, dead["mean_square"].estimate) == (1.0, 0.0)
    assert dead["relative_variance"].estimate is None
    broken = LayerSpectrum(1, "1", np.full((2, 3), np.nan), SpectrumTheory(1.0)).measures(0.1)
    assert [own.estimate for own in broken.values()] == [None] * 4
    assert broken["mean_square"].theory == 1.0
    assert LayerSpectrum(1, "1", np.ones((1, 3))).measures(0.1)["largest"].stderr is None


def test_standard_errors_of_small_values_do_not_underflow():
    values = np.array([[3.0, 2.0], [5.0, 1.0]])
    usual, small = (LayerSpectrum(1, "1", by * values).measures(0.1) for by in (1.0, 2.0**-500))
    assert small["mean_square"].stderr == usual["mean_square"].stderr * 2.0**-1000 > 0


def test_cells_say_why_they_have_no_number():
    subject = snstat.spectrum("relu", 1, 4, trials=1)
    for values, words in ((np.zeros((2, 3)), "undefined"), (np.full((2, 3), np.nan), "not finite")):
        found = replace(subject, layers=(LayerSpectrum(1, "1", values),))
        *_, column = columns_of(found, Notation.SPACED)
        assert column.cells == (words,)


def test_layers_that_are_chosen_are_the_only_ones_whose_size_counts(capsys, tmp_path):
    path = tmp_path / "wide.toml"
    path.write_text(WIDENING, encoding="utf-8")
    code, _, err = call(capsys, str(path), "--method", "exact")
    assert (code, "choose other --layers, or --method lanczos" in err) == (2, True)
    (entry,) = document(capsys, str(path), "--layers", "1", "-t", "1", "--method", "exact")["runs"]
    assert entry["depths"] == [1]


def test_tables_have_estimates_beside_theory(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    code, out, err = call(capsys, *SMALL)
    assert (code, err) == (0, "")
    title, sampling, _, header, *rows = out.splitlines()
    assert title.startswith("ReLU · 9 layers of 12")
    assert sampling == "3 trials × batch 1 · float64, dense, seed 0"
    names = "layer values mean σ² theory largest σ theory near 0 theory var σ²/mean² theory"
    assert " ".join(header.split()) == names
    assert [row.split()[0] for row in rows[:3]] == ["1", "8", "9"]
    assert "near 0: the share of singular values of at most 0.001 of the largest." in out
    monkeypatch.setenv("COLUMNS", "60")
    narrow = call(capsys, *SMALL)[1]
    assert "Not shown: near 0 and var σ²/mean²." in " ".join(narrow.split())
    assert max(map(len, narrow.splitlines())) <= 60
    means = "1.0023(41) means 1.0023 ± 0.0041 (one standard error)."
    assert means in narrow
    assert means not in out
    _, out, _ = call(capsys, *SMALL, "-f", "markdown", "--near-zero", "0.01")
    assert "| layer | values | mean σ² | theory |" in out
    assert "at most 0.01 of the largest" in out


def test_csv_has_every_value(capsys):
    _, out, _ = call(capsys, *SMALL, "-a", "tanh", "--layers", "2", "-f", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 2 * 3 * 12
    assert [rows[0][key] for key in ("run", "network", "layer", "trial", "number")] == [
        "1", "relu", "2", "0", "0",
    ]  # fmt: skip
    assert (rows[0]["weight"], rows[0]["error"]) == (str(1 / 12), "")
    found = snstat.spectrum("tanh", 9, 12, layers=2, trials=3).layers[0].singular_values
    assert float(rows[-1]["singular_value"]) == found[2, 11]


def test_layers_of_a_file_are_chosen_by_name(capsys, file):
    (entry,) = document(capsys, file, "--eval", "--layers", "in,last", "-t", "2")["runs"]
    assert entry["names"] == ["in", "body"]
    # The residual is two layers; the network is that of its file.
    assert entry["depths"] == [1, 4]
    assert entry["network"]["name"] == "net"
    # Batch norm of eval mode is x/√(1 + ε).
    by = 2.0 / (1.0 + 1e-5)
    assert entry["theory"]["mean_square"] == [None, pytest.approx(by * 16 / 12, rel=1e-9)]
    _, out, _ = call(capsys, file, "--eval", "-t", "2")
    assert "body" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--layers", "0"], "--layers is 0, but must be layers from 1"),
        (["--layers", "10", *SMALL], "--layers is 10, but must be at most the depth, 9"),
        (["--layers", "x", *SMALL], "numbers"),
        (["--layers", "1-65", "-d", "99", "-w", "4"], "1 to 64 numbers of layers"),
        (["--near-zero", "0"], "from 1e-12 to 1"),
        (["--trials", "0"], "from 1"),
        (["--batch", "4", *SMALL], "--batch is 4, but must be 1, or left out, where no sample"),
        (["--batch", "0"], "from 1"),
        (["-w", "5000", "-d", "1", "--method", "exact"], "at most 4,096 units"),
        (["-w", "5000", "-d", "1", "--dtype", "float32"], "choose other --layers"),
        (
            ["-w", "40", "--steps", "2", "--method", "lanczos", "--dtype", "float32"],
            "leave --dtype out",
        ),
        (["--method", "arnoldi"], "lanczos"),
        (["--steps", "1"], "from 2 to 256"),
        (["--set", "width=3"], "--set"),
        (["net.json"], "JSON"),
        (["-o", "x.png", *SMALL], "snstat plot"),
    ],
)
def test_bad_usage_gives_one_line_and_exit_code_2(capsys, arguments, words):
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("snstat: error: ")
    assert err.count("\n") == 1
    assert words in err


TOKENS = """\
input = { tokens = 7, grid = [3] }
layers = [
  { kind = "embedding", name = "embed", width = 4 },
  { kind = "dense", name = "up", width = 6 },
  { kind = "attention", heads = 2 },
]
"""


@pytest.fixture
def tokens(tmp_path):
    path = tmp_path / "tokens.toml"
    path.write_text(TOKENS)
    return str(path)


def test_the_jacobian_of_tokens_is_that_by_their_embedding(capsys, tokens, monkeypatch):
    (run,) = document(capsys, tokens, "--layers", "2,3")["runs"]
    assert run["from_layer"] == 1
    up, last = np.array(run["singular_values"][0]), run["measures"]["largest"][1]
    # Three positions, each of which goes through the same 6 × 4 matrix.
    assert up.shape == (8, 12)
    np.testing.assert_allclose(up[:, ::3], up[:, 2::3], rtol=1e-12)
    assert last["estimate"] > 0
    monkeypatch.setenv("COLUMNS", "100")
    _, out, _ = call(capsys, tokens)
    assert "Jacobians are by the output of layer 1 (embed), not by the input." in out
    # The chain rule of a linear layer: J of attention by `up`, by the embedding.
    by_name = snstat.spectrum(tokens, from_layer="up", layers=3)
    by_number = snstat.spectrum(tokens, from_layer=2, layers=3)
    np.testing.assert_array_equal(
        by_name.layers[0].singular_values, by_number.layers[0].singular_values
    )
    assert (by_name.source, by_name.layers[0].singular_values.shape) == (2, (8, 18))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from-layer", "0"], "tokens have no small changes; leave it out for the embedding"),
        (["--from-layer", "ub"], "--from-layer is 'ub', but must be the name of a layer; did you"),
        (["--from-layer", "3"], "--from-layer is 3, but must be before the last layer, 3"),
        (["--layers", "1"], "--layers is 1, but must be layers after 1, by whose output"),
        (["--from-layer", "-1"], "--from-layer"),
    ],
)
def test_layers_that_no_jacobian_is_by_are_refused(capsys, tokens, arguments, words):
    code, out, err = call(capsys, tokens, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert words in err


def test_an_embedding_alone_has_no_jacobian(capsys, tokens):
    Path(tokens).write_text(TOKENS.split('  { kind = "dense"', maxsplit=1)[0] + "]\n")
    code, out, err = call(capsys, tokens)
    assert (code, out) == (2, "")
    assert "--from-layer is 1, but must be before the last layer, 1" in err


def test_several_embeddings_are_named(capsys, tokens):
    two = TOKENS.replace(
        '{ kind = "dense", name = "up", width = 6 }',
        '{ kind = "embedding", width = 4, input = "input" },'
        ' { kind = "add", inputs = ["embed", "1"] }',
    )
    Path(tokens).write_text(two)
    code, _, err = call(capsys, tokens)
    assert code == 2
    assert "given where several layers read tokens: 1, 2" in err
    assert snstat.spectrum(tokens, from_layer=2, trials=1).layers[-1].singular_values.any()


def test_theory_of_a_jacobian_by_a_layer_is_that_of_the_gradient_there():
    """He weights and ReLU keep the mean square of the rest of the stack, two layers."""
    found = snstat.spectrum("relu", width=64, depth=4, from_layer=2, trials=64)
    (last,) = found.layers
    measure = last.measures(found.near_zero)["mean_square"]
    assert measure.theory == pytest.approx(1.0, rel=1e-9)
    assert abs(measure.estimate - 1.0) < 4.5 * measure.stderr


def by_differences(network, trial, batch, step=1e-6):
    """Return the singular values of the first sample's Jacobian, by numpy from central differences
    of the layers' own values."""
    inputs = DrawnInputs("normal", network.input.units, batch, 0.0, 1.0)
    sampler = General(network, inputs, trial + 1, 0, "float64", train=True)
    x = sampler.first(trial)

    def last(move):
        moved = x.copy()
        moved[:, 0] += move
        walk = Walk(sampler, trial, {0: moved})
        for _ in range(network.depth):
            walk.step()
        return walk.values[network.depth][:, 0]

    columns = [(last(move) - last(-move)) / (2.0 * step) for move in step * np.eye(len(x))]
    return np.linalg.svd(np.array(columns).T, compute_uv=False)


@pytest.mark.parametrize("method", ["exact", "lanczos"])
def test_samples_that_depend_on_each_other_are_drawn_as_a_batch(file, monkeypatch, method):
    """The Lanczos method finds the same values in so many products as there are."""
    if method == "lanczos":
        monkeypatch.setattr("snstat.engine.general.lanczos.STARTS", 3)
    options = {"batch": 4, "trials": 2, "layers": 4, "method": method, "steps": 3}
    found = snstat.spectrum(file, **options)
    assert found.simulation.batch == 4
    (layer,) = found.layers
    assert (layer.lanczos is None) == (method == "exact")
    assert layer.theory == SpectrumTheory()
    for trial, own in enumerate(layer.singular_values):
        expected = by_differences(Network.load(file), trial, 4)
        # Three steps find the largest to within its bound; differences are off by 1e-16/1e-6.
        error = 1e-8 if layer.lanczos is None else layer.lanczos.errors[trial][0] + 1e-7
        count = len(own) if layer.lanczos is None else 1
        np.testing.assert_allclose(own[:count], expected[:count], atol=error * expected[0])


def test_how_many_samples_there_are_is_told(capsys, file, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    words = "Samples depend on each other: Jacobians are of the first of 5 by itself, the others"
    code, out, err = call(capsys, file, "-b", "5", "-t", "2")
    assert (code, err) == (0, "")
    assert "2 trials × batch 5" in out
    assert words in out
    assert words in call(capsys, file, "-b", "5", "-t", "2", "-f", "markdown")[1]
    (entry,) = document(capsys, file, "-t", "1")["runs"]
    assert entry["simulation"]["batch"] == 64
    assert entry["theory"]["mean_square"] == [None, None]
    # Layers before have a Jacobian of one sample, and so has eval mode.
    (entry,) = document(capsys, file, "-t", "1", "--layers", "1")["runs"]
    assert entry["simulation"]["batch"] == 1
    _, out, _ = call(capsys, file, "--eval", "-t", "1")
    assert "batch 1 " in out
    assert "depend" not in out


def test_a_batch_that_no_network_takes_is_refused(capsys, file):
    """One of several that takes it is enough."""
    words = "--batch is 3, but must be 1, or left out"
    for arguments in ([*SMALL], [file, "--eval"], [file, "--layers", "1"]):
        code, _, err = call(capsys, *arguments, "--batch", "3")
        assert code == 2
        assert words in err
    text = (
        Path(file).read_text().replace('kind = "batch_norm"', 'kind = "batch_norm"\nwhen = "=on"')
    )
    head = "input = { channels = 12 }\n\n[parameters]\non = 1\n"
    Path(file).write_text(text.replace("\ninput = { channels = 12 }\n", head))
    runs = document(capsys, file, "--batch", "3", "--set", "on=0,1", "-t", "1")["runs"]
    assert [entry["simulation"]["batch"] for entry in runs] == [1, 3]
    with pytest.raises(InvalidValueError, match="batch is 3, but must be 1, or left out"):
        snstat.spectrum("relu", 2, 4, batch=3)


def test_one_sample_has_no_variance_over_the_batch(capsys, file, tmp_path):
    """But over positions."""
    code, out, err = call(capsys, file, "--batch", "1")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "layer 1: --batch is 1, but must be at least 2: one sample alone has no variance" in err
    path = tmp_path / "grid.toml"
    path.write_text("input = { channels = 2, grid = [5] }\nlayers = [{ kind = 'batch_norm' }]\n")
    (entry,) = document(capsys, str(path), "--batch", "1", "-t", "1")["runs"]
    # Of five positions of a channel, what moves its mean and its size is lost.
    assert np.sum(np.array(entry["singular_values"]) > 1e-3) == 2 * (5 - 2)


def test_all_samples_of_a_file_are_the_batch(file, tmp_path):
    path = tmp_path / "data.npy"
    np.save(path, np.random.default_rng(0).normal(size=(6, 12)))
    found = snstat.spectrum(file, inputs=str(path), trials=1)
    assert (found.simulation.batch, found.simulation.inputs) == (6, str(path))


def test_arguments_of_python_are_validated():
    with pytest.raises(InvalidValueError, match="layers is 0"):
        snstat.spectrum("relu", 3, 4, layers=[0, 1])
    with pytest.raises(InvalidValueError, match="at most the depth, 3"):
        snstat.spectrum("relu", 3, 4, layers=4)
    with pytest.raises(InvalidValueError, match="numbers of layers"):
        snstat.spectrum("relu", 3, 4, layers=[])
    with pytest.raises(InvalidValueError, match="near_zero"):
        snstat.spectrum("relu", 3, 4, near_zero=2.0)


def test_the_usual_layers_are_powers_of_eight_and_the_last():
    assert usual_depths(1) == (1,)
    assert usual_depths(8) == (1, 8)
    assert usual_depths(100) == (1, 8, 64, 100)


def test_an_interrupt_ends_all_trials(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("snstat.engine.general.jacobian.singular_values", interrupted)
    assert run(["spectrum", *SMALL]) == 130
    assert capsys.readouterr().out == ""


def test_what_does_not_fit_in_memory_is_refused(monkeypatch):
    monkeypatch.setattr("snstat.limits.physical_memory", lambda: 2.0**24)
    with pytest.raises(InvalidValueError, match="memory needed"):
        snstat.spectrum("relu", 2, 1000, trials=2)
    monkeypatch.setattr("snstat.limits.physical_memory", lambda: 2.0**27)
    wide = Network.read({"input": {"channels": 5000}, "layers": [{"kind": "scale"}]})
    with pytest.raises(InvalidValueError, match="fewer threads or steps"):
        snstat.spectrum(wide, trials=2, steps=256)


def test_data_of_the_user_are_inputs_one_a_trial(capsys, tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).normal(size=(5, 12)))
    (entry,) = document(capsys, *SMALL, "--inputs", str(path))["runs"]
    assert entry["simulation"]["inputs"] == str(path)
    assert entry["simulation"]["inputs_digest"].startswith("sha256:")


def test_a_plan_says_what_it_will_do():
    from snstat.experiment.spectrum import SpectrumCall

    plan = SpectrumCall("relu", 5, 8, trials=3, layers=[5, 2]).plan()
    assert isinstance(plan, SpectrumPlan)
    assert (plan.layers, plan.steps, plan.depth) == ((2, 5), 3, 5)
    done = []
    plan.run(done.append)
    assert done == sorted(done)
    assert done[-1] == pytest.approx(3.0)


def both_methods(**options):
    """Return the last layer by both methods, of one network."""
    options = {"depth": 2, "width": 70, "trials": 2, "layers": 2, "near_zero": 0.3} | options
    found = [snstat.spectrum("tanh", method=name, **options) for name in ("exact", "lanczos")]
    return [own.layers[-1] for own in found]


@pytest.mark.parametrize("widths", [None, "60,80,70", "70,80,60"])
def test_the_lanczos_method_finds_the_largest_and_averages(widths):
    """Of each trial's mean square the random starts know 1 ± √(2(1 + v)/(16 n)), with v = 2 the
    relative variance of two layers: ±8 % for 60 values, and ±6 % for two trials."""
    options = {} if widths is None else {"widths": widths, "width": None, "depth": None}
    exact, found = both_methods(**options, steps=3)
    values = exact.singular_values
    assert found.count == exact.count == values.shape[1]
    assert found.singular_values.shape == (2, 48)
    errors = np.abs(found.singular_values - values[:, :48])[:, :3]
    assert (errors <= found.lanczos.errors[:, :3]).all()
    np.testing.assert_allclose(found.singular_values[:, :2], values[:, :2], rtol=1e-2)
    assert 0 < found.largest_error < 0.2
    own, true = found.measures(0.3), exact.measures(0.3)
    assert own["mean_square"].estimate == pytest.approx(true["mean_square"].estimate, rel=0.18)
    assert own["largest"].estimate == pytest.approx(true["largest"].estimate, rel=1e-2)
    # The starts stand for all 60: of a share of ½ they know ±√(¼·2/(16·60))/√2, 0.016.
    low, high = found.near_zero_range(0.3)
    assert low - 0.05 < true["near_zero"].estimate < high + 0.05
    assert exact.near_zero_range(0.3) is None


def test_of_few_units_the_lanczos_method_has_all_values(capsys):
    """Up to 16 units a step, whatever the other layers have; all others take all steps."""
    few = ("-d", "2", "-w", "20", "-t", "2")
    by_lanczos, exact = (
        document(capsys, *few, "--method", name)["runs"][0] for name in ("lanczos", "exact")
    )
    assert by_lanczos["singular_values"] == exact["singular_values"]
    assert by_lanczos["lanczos"] == [None, None]
    mixed = ("--widths", "40,40,32,40", "-t", "1", "--layers", "all")
    options = ("--method", "lanczos", "--steps", "2")
    (entry,) = document(capsys, *mixed, *options)["runs"]
    first, few_units, last = entry["lanczos"]
    assert few_units is None
    for found in (first, last):
        assert (found["count"], found["starts"], found["steps"]) == (40, 16, 2)


def test_shares_are_estimates_only_where_they_are_known(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    by_lanczos = ("-d", "1", "-w", "36", "-t", "2", "--method", "lanczos", "--steps", "2")
    (entry,) = document(capsys, *by_lanczos)["runs"]
    (own,) = entry["lanczos"]
    assert (own["count"], own["starts"], own["steps"]) == (36, 16, 2)
    low, high = own["near_zero_range"]
    assert low == 0.0 < high
    assert entry["measures"]["near_zero"][0]["estimate"] is None
    for row in own["weights"]:
        assert sum(row) == pytest.approx(1.0)
    _, out, _ = call(capsys, *by_lanczos)
    assert f"0–{high:.2g}" in out
    assert "Lanczos method: 16 random starts a trial, 2 steps. largest σ is exact to" in out
    assert "A range is what is known of near 0" in " ".join(out.split())
    _, out, _ = call(capsys, *by_lanczos, "-f", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 2 * 32
    assert sum(float(row["weight"]) for row in rows) == pytest.approx(2.0)
    assert all(float(row["error"]) > 0 for row in rows)


def test_beyond_4096_units_the_lanczos_method_is_used(tmp_path, capsys):
    """Half of 2 and of 0.5, of 5,000 units; layers that are small enough are exact."""
    path = tmp_path / "wide.toml"
    path.write_text(
        """
input = { channels = 1250, grid = [4] }
layers = [
  { kind = "scale", factor = 2 },
  { kind = "dropout", rate = 0.5 },
  { kind = "global_mean_pool" },
]
""",
        encoding="utf-8",
    )
    (entry,) = document(capsys, str(path), "-t", "2", "--layers", "all", "--steps", "2")["runs"]
    assert [None if own is None else own["count"] for own in entry["lanczos"]] == [5000, 5000, None]
    for place, value in ((0, 2.0), (1, 4.0)):
        assert entry["measures"]["largest"][place]["estimate"] == pytest.approx(value, rel=1e-7)
    # Half of the units are dropped; √(1/4/5000) is the deviation of their share, and that of 32
    # random starts is as small.
    assert entry["measures"]["mean_square"][1]["estimate"] == pytest.approx(8.0, rel=0.05)
    assert len(entry["singular_values"][2][0]) == 1250


def test_a_network_that_is_not_finite_has_no_estimates(capsys):
    options = ("--method", "lanczos", "--steps", "2", "--weight-gain", "1e99")
    (entry,) = document(capsys, "-a", "relu", "-d", "9", "-w", "40", "-t", "1", *options)["runs"]
    assert entry["lanczos"][-1]["near_zero_range"] is None
    assert entry["measures"]["largest"][-1]["estimate"] is None
    _, out, _ = call(capsys, "-a", "relu", "-d", "9", "-w", "40", "-t", "1", *options)
    assert "not finite" in out


@pytest.mark.parametrize(
    "options",
    [{"widths": [24] * 4}, {"widths": [200] * 3, "method": "lanczos", "steps": 3}],
    ids=["exact", "lanczos"],
)
def test_progress_goes_up_to_the_trials(options):
    seen = []
    snstat.spectrum("tanh", trials=3, progress=seen.append, **options)
    assert seen == sorted(seen)
    assert len(seen) > 6
    assert seen[-1] == pytest.approx(3.0)
    assert 0.0 < seen[0] < 1.0


def test_what_takes_long_is_announced(monkeypatch, capsys):
    """Once, without a terminal, from what is done so far."""
    monkeypatch.setattr("snstat.cli.spectrum.SOON", 0.0)
    assert run(["spectrum", *SMALL]) == 0
    assert "left" not in capsys.readouterr().err
    monkeypatch.setattr("snstat.cli.spectrum.LONG", 0.0)
    assert run(["spectrum", *SMALL]) == 0
    (line,) = (part for part in capsys.readouterr().err.splitlines() if "left" in part)
    assert "left; fewer --trials, --layers last or --method lanczos take less" in line


def test_an_interrupt_waits_for_no_decomposition(monkeypatch):
    """It goes on for a while in a thread of its own."""
    began, over = threading.Event(), threading.Event()

    def decomposed(_jacobian):
        began.set()
        over.wait(60.0)
        return np.ones(12)

    class Interrupted(ThreadPoolExecutor):
        def map(self, *arguments, **options):
            super().map(*arguments, **options)
            assert began.wait(60.0)
            raise KeyboardInterrupt

    monkeypatch.setattr("snstat.engine.general.jacobian.singular_values", decomposed)
    monkeypatch.setattr("snstat.experiment.spectrum_plan.ThreadPoolExecutor", Interrupted)
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            snstat.spectrum("relu", depth=2, width=12, trials=1)
        assert time.monotonic() - start < 50.0
    finally:
        over.set()
