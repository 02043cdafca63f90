"""Networks of tokens through the whole pipe: files, runs, tables, pictures, checks and errors."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import snstat
from snstat.checks.bounds import Bounds
from snstat.checks.network_case import NetworkCase
from snstat.checks.network_remedies import standard_inputs
from snstat.checks.request import _input_moments
from snstat.cli import run
from snstat.engine.general.sampler import General
from snstat.errors import InputFileError, InvalidValueError, NetworkFormError
from snstat.experiment.densities import with_densities
from snstat.experiment.plans import plan_again, plan_of
from snstat.layers.embedding import Embedding
from snstat.layers.shape import Shape
from snstat.network.editing import Draft
from snstat.network.input_law import InputLaw
from snstat.network.network import Network
from snstat.network.run_settings import RunSettings
from snstat.report.network_words import network_words
from tests.files.test_schemas import errors

FORM = {
    "name": "small",
    "input": {"tokens": 50, "grid": [6]},
    "layers": [
        {"kind": "embedding", "width": 16},
        {"kind": "positions"},
        {"kind": "dense", "width": 16, "activation": "relu"},
        {"kind": "residual", "layers": [{"kind": "layer_norm"}, {"kind": "dense", "width": 16}]},
    ],
}
NETWORK = Network.read(FORM)
SAMPLING = {"batch": 5, "trials": 3, "seed": 2}
SIZES = ["--batch", "5", "--trials", "3"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "small.toml"
    NETWORK.save(path)
    return str(path)


@pytest.fixture
def tokens(tmp_path):
    path = tmp_path / "tokens.npy"
    np.save(path, np.random.default_rng(0).integers(50, size=(9, 6)))
    return path


def called(capsys, *arguments):
    code = run([*arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_file_of_tokens_is_written_and_read_back(file):
    assert NETWORK.input == Shape(1, (6,), 50) == Shape.of_tokens(50, (6,))
    assert NETWORK.form() == FORM
    assert Network.load(file) == NETWORK
    assert NETWORK.parameters == 50 * 16 + 2 * 17 * 16
    assert NETWORK.turned("width", 8).input == NETWORK.input
    vectors = FORM | {"input": {"tokens": "=2**20"}, "layers": FORM["layers"][:1]}
    assert Network.read(vectors).input == Shape.of_tokens(2**20)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "input: no channels"),
        ({"tokens": 0}, "tokens is 0"),
        ({"tokens": 2**24 + 1}, "tokens is 16777217"),
        ({"tokens": 5, "channels": 1}, "channels is 1, but must be left out beside tokens"),
        ({"tokens": 5, "kind": "normal"}, "kind is 'normal', but must be left out beside tokens"),
        ({"tokens": 5, "mean": 0.0}, "mean is 0.0, but must be left out"),
        ({"token": 5}, "did you mean 'tokens'"),
        ({"channels": 5}, "layers.0.embedding: input is"),
    ],
)
def test_inputs_that_are_no_tokens_are_refused(form, words):
    with pytest.raises(NetworkFormError) as told:
        Network.read(FORM | {"input": form})
    assert words in str(told.value)


def test_tokens_have_no_other_law():
    with pytest.raises(InvalidValueError, match="beside tokens"):
        Network(Shape.of_tokens(5), Embedding(3), InputLaw("uniform"))


def test_the_input_has_no_statistics_and_all_else_has(tmp_path):
    """In the record, the JSON and what is read back; nothing counts as not finite."""
    found = snstat.propagate(NETWORK, backward=True, keep_trials=True, **SAMPLING)
    assert found.tokens == 50
    assert found.finite.all()
    for name, statistic in found.statistics.items():
        assert np.isnan(statistic.estimate[0]), name
        assert np.isnan([statistic.theory[0], statistic.expected[0], statistic.z[0]]).all()
    for name in ("mean", "second_moment", "cosine", "gradient", "variance_over_positions"):
        assert np.isfinite(found.statistics[name].estimate[1:]).all(), name
    for name in ("mean", "second_moment", "cosine", "gradient"):
        assert np.isfinite(found.statistics[name].theory[1:]).all(), name
    snstat.save(found, tmp_path / "run.json")
    document = json.loads((tmp_path / "run.json").read_text())
    assert not errors(document, "propagation")
    assert document["runs"][0]["layers"][0]["finite"] is True
    assert document["runs"][0]["network"]["input"] == {"tokens": 50, "grid": [6]}
    again = snstat.load(tmp_path / "run.json")
    assert again == found
    assert plan_again(again).run() == snstat.propagate(NETWORK, backward=True, **SAMPLING)


def test_the_same_tokens_and_rows_are_drawn_again():
    plan = plan_of(RunSettings(**SAMPLING), NETWORK)
    one, other = (
        General(NETWORK, plan.inputs, 2, 2, dtype, train=True) for dtype in ("float32", "float64")
    )
    assert np.array_equal(one.first(1), other.first(1))
    assert one.first(0).shape == (1, 5, 6)
    assert not np.array_equal(one.first(0), one.first(1))


def test_data_are_tokens(tokens):
    """Trials take samples of theirs. Where a batch is all data, it is each trial's."""
    data = np.load(tokens)
    plan = plan_of(RunSettings(inputs=str(tokens), batch=9), NETWORK)
    sampler = General(NETWORK, plan.inputs, 1, 0, "float32", train=True)
    assert np.array_equal(sampler.first(0)[0], data)
    found = snstat.propagate(NETWORK, inputs=data.astype(np.float32), trials=3)
    assert found.simulation.inputs_digest == plan.inputs.digest()
    assert np.isfinite(found.second_moment.theory[1:]).all()
    assert np.isnan(found.cosine.theory).all()
    grids = Network.read(
        FORM | {"input": {"tokens": 50, "grid": [2, 3]}, "layers": FORM["layers"][:1]}
    )
    flat = snstat.propagate(grids, inputs=data.reshape(9, 2, 3), flatten=True, trials=2)
    assert flat.simulation.flatten
    assert math.isfinite(flat.second_moment.estimate[1])


@pytest.mark.parametrize(
    ("value", "shown"), [(50, "50"), (-1, "-1"), (2.5, "2.5"), (np.nan, "nan"), (np.inf, "inf")]
)
def test_data_that_are_no_tokens_are_refused_in_one_line(capsys, file, tokens, value, shown):
    data = np.load(tokens).astype(np.float64)
    data[3, 4] = value
    np.save(tokens, data)
    for command in ("propagate", "check"):
        code, out, err = called(capsys, command, file, "--inputs", str(tokens))
        assert (code, out) == (2, "")
        assert err == (
            f"snstat: error: inputs[3, 4] is {shown}, but must be a whole number from 0 to 49;"
            " the input of the network has 50 tokens\n"
        )


def test_other_shapes_of_data_are_refused(tmp_path):
    for data in (np.zeros((4, 7)), np.zeros((4, 6, 1)), np.zeros(6)):
        with pytest.raises(InvalidValueError, match="inputs"):
            snstat.propagate(NETWORK, inputs=data)
    with pytest.raises(InputFileError):
        snstat.propagate(NETWORK, inputs=str(tmp_path / "none.npy"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--inputs", "normal"], "--inputs is 'normal', but must be uniform"),
        (["--input-mean", "0"], "--input-mean is 0.0, but must be left out"),
        (["--input-std", "1"], "--input-std is 1.0, but must be left out"),
        (["--standardize"], "--standardize is True, but must be left out"),
        (["--flatten"], "--flatten is True, but must be left out"),
    ],
)
def test_options_of_measurements_are_refused(capsys, file, options, words):
    code, _, err = called(capsys, "propagate", file, *options)
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


def test_uniform_is_what_is_drawn_anyway():
    one, other = (snstat.propagate(NETWORK, inputs=own, **SAMPLING) for own in (None, "uniform"))
    assert one == other


def test_tables_and_pages_say_what_the_input_is(capsys, file):
    code, out, err = called(capsys, "propagate", file, *SIZES, "--backward", "--layers", "all")
    assert (code, err) == (0, "")
    title = "small · 6 layers · 6 of 50 tokens → 6 × 16"
    assert out.startswith(title)
    assert "no theory" not in out.lower()
    assert "nan" not in out
    assert "!" not in out.partition("variance outside")[2]
    assert ["0", "input"] in [line.split() for line in out.splitlines()]
    found = snstat.propagate(NETWORK, **SAMPLING)
    page = found._repr_html_()
    assert "6 of 50 tokens" in page
    assert "nan" not in page
    assert "over depth <code>!" not in page
    alone = Network(Shape.of_tokens(1), Embedding(3))
    assert network_words(plan_of(RunSettings(), alone).subject) == (
        "network · 1 layer · 1 of 1 token → 3"
    )


@pytest.mark.parametrize("form", ["csv", "markdown", "json"])
def test_every_format_has_the_run(capsys, file, form):
    code, out, err = called(capsys, "propagate", file, *SIZES, "-f", form)
    assert (code, err) == (0, "")
    assert "embedding" in out
    assert "nan" not in out.lower()


def test_show_lists_the_layers(capsys, file):
    code, out, err = called(capsys, "show", file, "--layers", "all")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines() if "embedding" in line] == [
        ["1", "0", "embedding", "6", "×", "16", "800"]
    ]
    code, out, _ = called(capsys, "show", file, "-f", "json")
    assert not errors(json.loads(out), "network")


@pytest.mark.parametrize("data", [False, True], ids=["drawn", "data"])
def test_checks_judge_what_comes_after_the_tokens(capsys, tmp_path, file, tokens, data):
    """A saved run has the verdict of a new one; remedies do not speak of the inputs."""
    more = ["--inputs", str(tokens)] if data else []
    code, out, err = called(capsys, "check", file, *SIZES, *more)
    assert (code, err) == (0, "")
    assert out.startswith("passed small: stable")
    assert "no theory from" not in out
    assert ("no theory of two samples: how often tokens of data" in out) == data
    assert "SN301 not judged" not in out
    saved = str(tmp_path / "run.json")
    assert called(capsys, "propagate", file, *SIZES, *more, "-o", saved)[0] == 0
    assert called(capsys, "check", saved)[1] == out


@pytest.mark.parametrize("data", [False, True], ids=["drawn", "data"])
def test_a_saved_run_knows_that_its_inputs_are_tokens(tmp_path, tokens, data):
    """None of their moments is known, and theory holds: they do not differ in norm."""
    own = {"inputs": str(tokens)} if data else {}
    snstat.save(snstat.propagate(NETWORK, **own, **SAMPLING), tmp_path / "run.json")
    found = _input_moments(snstat.load(tmp_path / "run.json"))
    expected = plan_of(RunSettings(**own, **SAMPLING), NETWORK).inputs.moments()
    assert repr(found) == repr(expected)
    case = NetworkCase(NETWORK, 5, expected, Bounds())
    assert case.theory_holds
    assert standard_inputs(case, Draft.of(case.network)) is None


def test_remedies_leave_the_tokens_alone(capsys, tmp_path):
    layers = [{"kind": "embedding", "width": 16, "std": 1e-4}]
    layers += [{"kind": "dense", "width": 16, "activation": "relu", "weight_gain": 0.5}] * 8
    path = tmp_path / "vanishing.toml"
    Network.read(FORM | {"layers": layers}).save(path)
    code, out, err = called(capsys, "check", str(path), *SIZES, "--seed", "1")
    assert (code, err) == (1, "")
    assert "SN101" in out
    assert "input" not in out.partition("SN101")[2].replace("inputs uniform", "")


@pytest.mark.parametrize("kind", ["trajectory", "histogram"])
def test_pictures_leave_the_tokens_out(capsys, file, tmp_path, kind):
    path = tmp_path / "picture.png"
    told = called(capsys, "plot", file, *SIZES, "--kind", kind, "-o", str(path))
    assert told == (0, "", f"snstat: wrote {path}: {kind}, png\n")
    assert path.stat().st_size > 0


def test_tokens_have_no_density(capsys, file):
    subject = snstat.propagate(NETWORK, **SAMPLING).subject
    assert with_densities(subject, [0, 1, 3]) == [1, 3]
    with pytest.raises(InvalidValueError, match="no density"):
        with_densities(subject, [0])
    other = snstat.propagate("relu", depth=2, width=8, **SAMPLING).subject
    assert with_densities(other, [0, 1]) == [0, 1]
    words = ["--kind", "histogram", "--layers", "0", "-o", "none.png"]
    code, _, err = called(capsys, "plot", file, *words)
    assert code == 2
    assert "no density" in err
