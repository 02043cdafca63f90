"""The limit of infinite width as a run: beside theory, at any widths, in records and words."""

from __future__ import annotations

import json

import numpy as np
import pytest

import snstat
from snstat import cli
from snstat.errors import InvalidValueError
from snstat.experiment.plans import plan_again

UNITS, TRIALS = 256, 24
# Student's t of 23 degrees is beyond 5 once in 20,000 comparisons, and seeds are fixed. Where
# theory is that of infinite width, means over 256 units are off by a few times 1/256.
ERRORS, BEYOND = 5.0, 4.0 / UNITS


def network(*layers, channels=UNITS, grid=()):
    form = {"name": "own", "input": {"channels": channels, "grid": list(grid)}, "layers": layers}
    return snstat.Network.read(form)


def dense(width, activation=None, **options):
    own = {"kind": "dense", "width": width, **options}
    return own if activation is None else {**own, "activation": activation}


def conv(width, **options):
    return {"kind": "conv", "channels": width, "kernel": 3, "activation": "relu", **options}


def kinds(w):
    """Networks of known theory, whose layers have `w` or 2·`w` units."""
    branch = [{"kind": "layer_norm"}, dense(2 * w, "relu"), dense(w)]
    return {
        "dense": network(dense(w, "tanh", bias_std=0.3), dense(2 * w, "relu"), dense(w, "selu")),
        "residual": network(dense(w), *[{"kind": "residual", "layers": branch}] * 3),
        "normalized": network(dense(w, "relu", weights="normalized"), dense(w)),
        "standardized": network(dense(w, "relu"), dense(w, "relu", weights="standardized")),
        "uniform": network(dense(w, "elu", init="he_uniform"), dense(w, "elu", init="orthogonal")),
        "dropout": network(dense(w, "relu"), {"kind": "dropout", "rate": 0.2}, dense(w)),
        "batch norm": network(
            dense(w), {"kind": "batch_norm"}, {"kind": "activation", "activation": "relu"}, dense(w)
        ),
        "highway": network(dense(w), {"kind": "highway", "activation": "tanh"}),
        "concat": network(
            dense(w, "relu", name="a", input="input"),
            dense(2 * w, "tanh", name="b", input="input"),
            {"kind": "concat", "inputs": ["a", "b"]},
            dense(w),
        ),
        "conv": network(conv(w), {"kind": "flatten"}, dense(w), channels=64, grid=(6,)),
        "group norm": network(conv(2 * w), {"kind": "group_norm", "groups": 2}, conv(w),
                              channels=64, grid=(6,)),
        "elman": network(
            {"kind": "elman", "width": w, "weight_gain": 1.2}, dense(w), channels=64, grid=(6,)
        ),
        "attention": network(
            dense(w), {"kind": "attention", "heads": w // 2}, channels=64, grid=(5,)
        ),
        "dot product attention": network(
            dense(w, name="x"), *[dense(w, name=name, input="x") for name in "qkv"],
            {"kind": "dot_product_attention", "heads": w // 2, "inputs": ["q", "k", "v"]},
            dense(w), channels=64, grid=(5,),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", kinds(8))
def test_theory_is_within_chance_of_the_population(name):
    run = snstat.propagate(
        kinds(8)[name], infinite_width=UNITS, batch=12, trials=TRIALS, backward=True, seed=4
    )
    compared = 0
    for statistic in ("second_moment", "variance_over_batch", "cosine", "gradient"):
        found = run.statistics[statistic]
        expected, error = found.reference[1:], found.stderr[1:]
        size = expected if statistic != "cosine" else 1.0
        off, room = np.abs(found.estimate[1:] - expected), BEYOND * size
        if statistic == "gradient":  # errors are those of the logarithm
            off, room = np.abs(np.log(found.estimate[1:] / expected)), BEYOND
        known = np.isfinite(expected)
        compared += known.sum()
        assert np.all((off <= ERRORS * error + room)[known]), (statistic, found.z)
    assert compared > run.depth


@pytest.mark.parametrize("name", kinds(8))
def test_it_does_not_depend_on_the_widths_of_the_file(name):
    narrow, wide = (
        snstat.propagate(kinds(w)[name], infinite_width=48, batch=4, trials=2, backward=True)
        for w in (8, 12)
    )
    for statistic, found in narrow.statistics.items():
        np.testing.assert_array_equal(found.estimate, wide.statistics[statistic].estimate)


def test_it_does_depend_on_gains_that_depend_on_widths():
    one, other = (
        snstat.propagate(
            network(dense(w, init="glorot_normal"), channels=32), infinite_width=4096, batch=4,
            trials=16,
        )
        for w in (16, 96)
    )  # fmt: skip
    # G² is 2 · 32/(32 + w).
    ratio = one.second_moment.estimate[1] / other.second_moment.estimate[1]
    assert ratio == pytest.approx((32 + 96) / (32 + 16), rel=1e-5)


def test_sinusoids_are_those_of_the_own_channels():
    layers = [dense(16), {"kind": "positions"}]
    run = snstat.propagate(
        network(*layers, channels=64, grid=(6,)), infinite_width=512, batch=8, trials=TRIALS
    )
    found = run.position_cosine
    assert abs(found.estimate[2] - found.theory[2]) < ERRORS * found.stderr[2] + BEYOND


def cells():
    return network({"kind": "lstm", "width": 5}, {"kind": "gru", "width": 5}, channels=3, grid=(4,))


def test_the_record_says_what_was_sampled_and_can_be_repeated(tmp_path):
    run = snstat.propagate(cells(), infinite_width=32, batch=2, trials=2)
    assert run.simulation.infinite_width == 32
    assert run.network.layers[1].shape == (4, 5)  # of the network itself
    path = tmp_path / "run.json"
    snstat.save(run, path)
    form = json.loads(path.read_text("utf-8"))["runs"][0]
    assert form["simulation"]["infinite_width"] == 32
    again = snstat.load(path)
    assert again == run
    assert plan_again(again).run() == run
    assert "population of 32 units at infinite width" in repr(run)
    assert "not of the network at its own widths" in " ".join(repr(run).split())
    del form["simulation"]["infinite_width"]  # as files of before
    path.write_text(json.dumps({"schema": "snstat.propagation/2", "runs": [form]}), "utf-8")
    assert snstat.load(path).simulation.infinite_width is None


def test_zero_is_the_network_itself():
    same = {"batch": 2, "trials": 2}
    assert snstat.propagate(cells(), infinite_width=0, **same) == snstat.propagate(cells(), **same)


def test_stacks_have_the_limit_too():
    run = snstat.propagate(
        "relu", depth=3, width=10, infinite_width=2048, batch=4, trials=16, init="he_uniform"
    )
    assert run.network.called == "relu"
    # Layers add next to nothing to what 10 inputs vary by.
    errors = run.second_moment.stderr
    assert errors[3] == pytest.approx(errors[1], rel=0.1)
    assert np.all(np.abs(run.second_moment.z[1:]) < ERRORS)


def test_samplers_have_one_law():
    runs = [
        snstat.propagate(
            cells(), infinite_width=24, batch=2, trials=200, sampler=name, seed=seed, backward=True
        )
        for seed, name in enumerate(["dense", "matrix-free"])
    ]
    for name in ("second_moment", "cosine", "gradient"):
        one, other = (run.statistics[name] for run in runs)
        with np.errstate(divide="ignore", invalid="ignore"):
            off = (one.estimate - other.estimate) / (one.estimate if name == "gradient" else 1.0)
            error = np.hypot(one.stderr, other.stderr)
        assert np.all(np.abs(off[:2]) < 4.5 * error[:2]), name


def test_given_weights_have_no_limit():
    with pytest.raises(InvalidValueError, match="infinite_width is 8, but must be left out beside"):
        snstat.propagate("relu", weights={"w": np.eye(4)}, infinite_width=8)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cells.toml"
    cells().save(path)
    return str(path)


def called(capsys, *arguments):
    """Return the exit code of a command, and what it wrote to both streams."""
    code = cli.run([*arguments, "--batch", "2", "--trials", "2"])
    found = capsys.readouterr()
    return code, found.out, found.err


def test_both_stand_side_by_side(file, capsys):
    code, out, _ = called(capsys, "propagate", file, "--infinite-width", "0,16")
    assert code == 0
    assert "own widths" in out
    assert "population of 16" in out
    code, out, _ = called(capsys, "check", file, "--infinite-width", "16")
    assert code in (0, 1)
    assert "population of 16" in out


def test_pictures_say_it(file, tmp_path, capsys):
    path = tmp_path / "picture.svg"
    for options in (), ("--kind", "histogram", "--layers", "1,2"):
        written = "-o", str(path)
        code, *_ = called(capsys, "plot", file, "--infinite-width", "16", *options, *written)
        assert code == 0
        assert "population of 16 units" in path.read_text("utf-8")


def test_errors_are_one_line(file, capsys):
    for value in ("-1", "1e30", "x"):
        code, _, error = called(capsys, "propagate", file, "--infinite-width", value)
        assert code == 2
        assert "--infinite-width" in error
        assert len(error.strip().splitlines()) == 1
