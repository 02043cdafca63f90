"""A description determines the network: equal descriptions ⇔ equal draws.

The oracle is the drawn weights, biases and inputs themselves. Gains and standard deviations are
powers of two and widths are 16 and 64, so that values equal on paper are equal in floating point.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config

import snstat
from snstat import cli
from snstat.activation import ACTIVATIONS
from snstat.engine.draws import draw_biases, draw_weights
from snstat.errors import InputFileError, InvalidValueError
from snstat.experiment.plan import Plan
from snstat.files.saved import runs_to_json
from snstat.layers.initialisers import INITIALISERS
from snstat.network.description import stack_of, summary_of
from snstat.network.stack import Stack
from snstat.report.network_words import STEADY_GAINS, network_words, simulation_words
from snstat.results import Run

WIDTH = 16
DATA = {
    name: np.random.default_rng(seed).normal(size=(4, width)).astype(np.float32)
    for name, seed, width in (("a", 0, WIDTH), ("b", 1, WIDTH), ("narrow", 0, 4), ("wide", 0, 64))
}


@st.composite
def option_sets(draw: st.DrawFn) -> dict[str, Any]:
    options: dict[str, Any] = {
        "activation": "tanh",
        "depth": draw(st.sampled_from([1, 2])),
        "width": WIDTH,
        "trials": 1,
        "batch": draw(st.sampled_from([2, 4])),
        "init": draw(st.sampled_from(list(INITIALISERS))),
        "bias_std": draw(st.sampled_from([None, None, 0.0, 0.5, np.sqrt(1 / 3 / WIDTH)])),
        "inputs": draw(st.sampled_from(["normal", "uniform", *DATA])),
        "dtype": "float64",
        "seed": draw(st.sampled_from([0, 0, 0, 1])),
        "sampler": "dense",
    }
    if options["inputs"] in DATA:
        options["inputs"] = DATA[options["inputs"]]
    else:
        options["input_std"] = draw(st.sampled_from([1.0, 1.0, 2.0]))
    weights = draw(st.sampled_from(["", "weight_gain", "weight_std"]))
    if weights == "weight_gain":
        options[weights] = draw(st.sampled_from([0.5, 1.0, 2.0, np.sqrt(2.0)]))
    elif weights:
        options[weights] = draw(st.sampled_from([0.25, 0.125]))
    return options


def described(options: dict[str, Any]) -> tuple[Run, tuple[Any, ...]]:
    """Return the run of `options` and everything that it draws."""
    plan = Plan.build(**options)
    drawn = [
        draw(plan.stack, layer, seed=plan.seed, dtype=plan.dtype)
        for layer in range(1, plan.stack.depth + 1)
        for draw in (draw_weights, draw_biases)
    ]
    return plan.run(), (plan.inputs.sample(0, plan.seed, plan.dtype), *drawn)


def same(first: tuple[Any, ...], second: tuple[Any, ...]) -> bool:
    return len(first) == len(second) and all(map(np.array_equal, first, second))


def reloaded(run: Run, folder: Any) -> Run:
    snstat.save(run, folder / "run.json")
    return snstat.load(folder / "run.json")


@settings(max_examples=30 if config.DISABLE_JIT else 300, deadline=None)
@given(option_sets(), st.data())
def test_descriptions_are_equal_if_and_only_if_draws_are_equal(one, data):
    # Sets that differ in a few settings are the easiest to confuse.
    other = one | data.draw(option_sets().map(lambda full: part_of(full, data)))
    if not isinstance(other["inputs"], str):
        other.pop("input_std", None)
    if other.get("weight_gain") is not None:
        other["weight_std"] = None
    (run, drawn), (second, redrawn) = described(one), described(other)
    stacks = run.stack == second.stack
    equal = stacks and run.simulation == second.simulation
    assert equal == same(drawn, redrawn)
    # The text may describe one network in two ways, but never two networks alike.
    words = [network_words(r.stack) + simulation_words(r.simulation) for r in (run, second)]
    heads = [json.loads("".join(runs_to_json([r])))["runs"][0] for r in (run, second)]
    forms = [(head["stack"], head["simulation"]) for head in heads]
    if not equal:
        assert words[0] != words[1]
        assert forms[0] != forms[1]


def test_settings_with_different_draws_have_different_descriptions():
    """All combinations of weight and bias settings: one description for each set of draws."""
    biases = [None, 0.0, 0.5, np.sqrt(1 / 3 / WIDTH)]
    weights = [{}, *({"weight_gain": gain} for gain in (0.5, 1.0, np.sqrt(2.0)))]
    weights += [{"weight_std": std} for std in (0.25, 0.125)]
    found: dict[bytes, Any] = {}
    words: dict[str, Any] = {}
    for init in INITIALISERS:
        for settings_of_weights in weights:
            for bias_std in biases:
                for inputs in (4, WIDTH, 64):
                    stack = Stack.build(
                        "tanh", 2, WIDTH, init=init, bias_std=bias_std, input_width=inputs,
                        **settings_of_weights,
                    )  # fmt: skip
                    drawn = b"".join(
                        draw(stack, layer, dtype="float64").tobytes()
                        for layer in (1, 2)
                        for draw in (draw_weights, draw_biases)
                    )
                    summary = summary_of(stack)
                    assert found.setdefault(drawn, summary) == summary
                    assert words.setdefault(network_words(summary), summary) == summary
    # There are as many descriptions as sets of draws.
    assert len(set(found.values())) == len(found)


def part_of(full: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    names = data.draw(st.lists(st.sampled_from(sorted(full)), max_size=3))
    return {name: full[name] for name in names}


CASES = {
    "default": {},
    "gain 1": {"weight_gain": 1.0},
    "std": {"weight_std": 0.125},
    "bias": {"bias_std": float(np.sqrt(1 / 3 / WIDTH))},
}


@pytest.mark.parametrize("init", INITIALISERS)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("width", [4, WIDTH, 64])
def test_a_saved_run_draws_the_same_network_again(init, name, width, tmp_path):
    data = tmp_path / "x.npy"
    np.save(data, np.random.default_rng(0).normal(size=(5, width)))
    options = {"width": WIDTH, "init": init, "trials": 2, "inputs": str(data), **CASES[name]}
    run = snstat.propagate("tanh", 2, **options)
    loaded = reloaded(run, tmp_path)
    assert (loaded.stack, loaded.simulation) == (run.stack, run.simulation)
    assert network_words(loaded.stack) == network_words(run.stack)
    again = Plan.of(loaded).run()
    np.testing.assert_array_equal(again.variance.estimate, run.variance.estimate)


def test_a_gain_of_1_differs_from_the_default(tmp_path, monkeypatch, capsys):
    """A baseline with an explicit gain equals its own repetition."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).normal(size=(256, 64)))
    arguments = "check -a relu -d 1 -w 128 --init glorot_normal --weight-gain 1 --inputs x.npy"
    arguments += " --select SN701"
    assert cli.run([*arguments.split(), "--write-baseline", "g.json"]) == 0
    assert cli.run(["check", "--baseline", "g.json", "--select", "SN701"]) == 0
    assert "gain 1)" in capsys.readouterr().out
    assert cli.run(["propagate", *arguments.split()[1:9]]) == 0


@pytest.mark.parametrize("init", INITIALISERS)
def test_weights_of_zero_have_no_distribution(init):
    zero = Plan.build("tanh", 2, width=4, init="lecun_normal", weight_gain=0, bias_std=0.1)
    other = Plan.build("tanh", 2, width=4, init=init, weight_std=0, bias_std=0.1)
    assert zero.summary == other.summary


def test_text_distinguishes_gains():
    def words(**options):
        return network_words(Plan.build("relu", 2, width=8, **options).summary)

    narrow = np.ones((3, 4))
    assert words().endswith("he_normal (gain 1.414…)")
    assert words(weight_gain=1.414).endswith("he_normal (gain 1.414)")
    assert words(weight_gain=1.00001).endswith("he_normal (gain 1.00001)")
    funnel = summary_of(Stack.build("relu", init="glorot_normal", widths="8,4,5", last="tanh"))
    funnel_words = network_words(funnel)
    assert funnel_words.startswith("ReLU · 2 layers: 8 → 4 → 5 · last layer tanh · ")
    assert funnel_words.endswith("glorot_normal (gains 0.9428… to 1.154…)")
    wide = summary_of(Stack.build("relu", widths="3072,1024*3,10"))
    assert "4 layers: 3,072 → 1,024 ×3 → 10 ·" in network_words(wide)
    assert words(weight_std=0.1).endswith("he_normal (weight std 0.1)")
    glorot = words(init="glorot_normal", inputs=narrow)
    assert glorot.endswith("glorot_normal (gain 1, first layer 0.8164…)")
    assert words(init="torch_default").endswith("(gain 0.5773…, uniform biases of std 0.2041…)")


def test_data_with_the_same_name_are_distinguished_by_content(tmp_path):
    path, runs = tmp_path / "x.npy", []
    data = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    for content in (
        data,
        data.astype(np.float64),
        np.asfortranarray(data),
        -data,
        data.reshape(6, 4),
    ):
        np.save(path, content)
        runs.append(snstat.propagate("tanh", 1, width=6, trials=2, inputs=path))
    digests = [run.simulation.inputs_digest for run in runs]
    # Equal values are equal data, whatever their dtype and memory order. A sign or a shape makes a
    # difference.
    assert digests[0] == digests[1] == digests[2]
    assert len(set(digests)) == 3
    np.save(path, data)
    snstat.save(runs[0], tmp_path / "run.json")
    assert Plan.of(snstat.load(tmp_path / "run.json")).inputs.label == str(path)
    np.save(path, -data)
    with pytest.raises(InvalidValueError, match="their content has changed"):
        Plan.of(snstat.load(tmp_path / "run.json"))


def test_the_sign_of_zero_makes_no_difference():
    digests = {
        snstat.propagate(
            "tanh", 1, width=2, inputs=np.array([[0.0, 1.0], [sign * 0.0, 2.0]])
        ).simulation.inputs_digest
        for sign in (1.0, -1.0)
    }
    assert len(digests) == 1


def test_a_check_notes_that_the_data_of_the_baseline_have_changed(tmp_path):
    path, baseline = tmp_path / "x.npy", tmp_path / "b.json"
    data = np.random.default_rng(0).normal(size=(64, 32))
    np.save(path, data)
    snstat.save(snstat.propagate("tanh", 2, width=32, inputs=path), baseline)
    (same_data,) = [snstat.check(baseline=baseline, select="SN701").notes]
    np.save(path, 2 * data)
    notes = snstat.check(baseline=baseline, select="SN701").notes
    assert not any("content" in note for note in same_data)
    assert any("x.npy has changed" in note for note in notes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weight_gain": 2.0}, "weight_gain is 2, but the settings give 1"),
        ({"bias_std": 2.0}, "bias_std is 2, but the settings give 0"),
        ({"weight_std": 1.0}, "if and only if"),
        ({"given": ["weight_std"]}, "if and only if"),
        ({"given": ["depth"]}, "must be a list of weight_gain, weight_std, bias_std"),
        ({"given": "weight_gain"}, "must be a list"),
        ({"given": ["weight_gain", "weight_std"], "weight_std": 1.0}, "give one of them"),
    ],
)
def test_a_contradictory_description_is_refused(changes, words, tmp_path):
    run = snstat.propagate("tanh", 1, width=4, batch=2, trials=1, init="glorot_normal")
    form = json.loads("".join(runs_to_json([run])))
    form["runs"][0]["stack"] |= changes
    (tmp_path / "run.json").write_text(json.dumps(form))
    with pytest.raises(InputFileError, match=words):
        snstat.load(tmp_path / "run.json")


def as_schema_1(run: Run) -> dict[str, Any]:
    """Return the document that version 0.1 wrote for a run."""
    form = json.loads("".join(runs_to_json([run])))
    form["schema"] = "snstat.propagation/1"
    head = form["runs"][0]
    for key in ("weight_std", "widths", "last", "given", "drawn"):
        del head["stack"][key]
    for key in ("inputs_digest", "standardize", "flatten", "train", "infinite_width"):
        del head["simulation"][key]
    for layer in head["layers"]:
        for key in ("name", "kind", "shape", "sampler"):
            del layer[key]
    return form


@pytest.mark.parametrize(("activation", "gain"), STEADY_GAINS.items())
def test_the_heading_recommends_a_stable_gain(activation, gain):
    """GELU and SiLU vanish with every initialiser; the recommended gain keeps a second moment of
    1."""
    told = f"{gain:g} would keep a second moment of 1"
    assert told in network_words(Plan.build(activation, 2, width=8).summary)
    assert told not in network_words(Plan.build(activation, 2, width=8, weight_gain=gain).summary)
    assert "would keep" not in network_words(Plan.build("tanh", 2, width=8).summary)
    # E[φ(G z)²] by the trapezoidal rule, accurate despite kinks, to four digits of G.
    nodes = np.linspace(-10.0, 10.0, 20_001)
    weights = np.exp(-0.5 * nodes**2)
    values = ACTIVATIONS[activation](gain * nodes) ** 2
    assert (values @ weights) / weights.sum() == pytest.approx(1.0, abs=2 * 5e-4 / gain * 1.2)
    kept = snstat.propagate(activation, 8, width=16, batch=2, trials=2, weight_gain=gain)
    lost = snstat.propagate(activation, 8, width=16, batch=2, trials=2)
    assert kept.second_moment.theory[8] == pytest.approx(1.0, abs=0.01)
    assert lost.second_moment.theory[8] < 1e-3


@pytest.mark.parametrize("settings", [{}, {"init": "torch_default"}, {"weight_gain": 1.5}])
@pytest.mark.parametrize("last", [None, "identity"])
def test_widths_and_the_last_layer_are_described(settings, last):
    stack = Stack.build("tanh", widths="4,6*2,6,3", last=last, **settings)
    summary = summary_of(stack)
    assert stack_of(summary) == stack
    assert [summary.units(layer) for layer in range(5)] == [4, 6, 6, 6, 3]
    for layers in summary.drawn:
        for index in range(layers.first, layers.last + 1):
            weights = draw_weights(stack, index, dtype="float64")
            spread = weights.std() / layers.weight_std
            # The bound allows for the standard deviation of some 20 weights or more.
            assert 0.4 < spread < 1.8
            assert layers.activation == stack.layer(index).activation
    other = Stack.build("tanh", widths="4,6*3,4", last=last, **settings)
    assert summary_of(other) != summary


@pytest.mark.parametrize(
    "options", [{}, {"weight_gain": 1.5}, {"init": "torch_default"}, {"bias_std": 0.2}]
)
def test_files_of_schema_1_are_read(options, tmp_path):
    run = snstat.propagate("tanh", 2, width=8, batch=3, trials=2, **options)
    (tmp_path / "old.json").write_text(json.dumps(as_schema_1(run)))
    loaded = snstat.load(tmp_path / "old.json")
    assert (loaded.stack, loaded.simulation) == (run.stack, run.simulation)
    np.testing.assert_array_equal(loaded.variance.estimate, run.variance.estimate)


def test_layers_describe_themselves():
    run = snstat.propagate("tanh", 2, width=8, inputs=np.ones((3, 5)), sampler="dense")
    told = [(row.name, row.kind, row.shape, row.sampler) for row in run.layers]
    assert told == [
        ("input", "input", (5,), None),
        ("1", "dense", (8,), "dense"),
        ("2", "dense", (8,), "dense"),
    ]
