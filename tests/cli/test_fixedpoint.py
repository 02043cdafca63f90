"""`snstat fixedpoint` as a command: values, words, tables and errors."""

from __future__ import annotations

import json

import pytest

from snstat.cli import run


def call(capsys, *arguments):
    code = run(["fixedpoint", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def document(capsys, *arguments):
    code, out, err = call(capsys, *arguments, "-f", "json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_the_contract_example(capsys):
    found = document(capsys)
    assert found["schema"] == "snstat.fixedpoint/1"
    (entry,) = found["runs"]
    assert (entry["activation"], entry["map"]) == ("selu", "ensemble")
    assert (entry["weight_gain"], entry["bias_std"]) == (1.0, 0.0)
    point = entry["fixed_points"][0]
    assert point["mean"] == pytest.approx(0.0, abs=1e-14)
    assert point["variance"] == pytest.approx(1.0, rel=1e-14)
    assert point["stable"] is True
    # Known digits of the fixed point of SELU.
    assert point["jacobian"][0][1] == pytest.approx(0.0888348, abs=5e-8)
    assert point["jacobian"][1][1] == pytest.approx(0.782648, abs=5e-7)
    assert point["spectral_norm"] == pytest.approx(0.787673, abs=5e-7)
    assert point["spectral_radius"] == pytest.approx(0.782648, abs=5e-7)
    assert point["gradient_growth"] == pytest.approx(1.071575, abs=5e-7)
    zero, one = point["correlations"]
    assert zero["value"] == pytest.approx(0.0, abs=1e-12)
    assert zero["slope"] == pytest.approx(0.97068, abs=5e-6)
    assert zero["stable"]
    assert zero["depth_scale"] == pytest.approx(34, abs=0.5)
    assert (one["value"], one["stable"]) == (1.0, False)
    assert one["slope"] == pytest.approx(point["gradient_growth"], rel=1e-9)


def test_the_unit_map_takes_its_own_parameters(capsys):
    (entry,) = document(capsys, "--map", "unit", "--weight-sum", "0.05")["runs"]
    assert (entry["map"], entry["weight_sum"], entry["weight_square_sum"]) == ("unit", 0.05, 1.0)
    assert entry["theorem_domain"] == 1
    assert "weight_gain" not in entry


@pytest.mark.parametrize(
    ("arguments", "alpha", "scale"),
    [
        (["--target-mean", "0", "--target-variance", "1"], 1.6732632423543772, 1.0507009873554805),
        (["--target-mean", "0", "--target-variance", "2"], 1.9712557503462642, 1.0607090761030131),
        (
            ["--target-mean", "-0.1", "--target-variance", "2", "--weight-sum", "1"],
            1.9769021954242014,
            1.073851239616046,
        ),
    ],
)
def test_targets_are_solved_to_fourteen_digits(capsys, arguments, alpha, scale):
    solved = document(capsys, *arguments)["runs"][0]["solved"]
    assert solved["alpha"] == pytest.approx(alpha, rel=1e-14)
    assert solved["lambda"] == pytest.approx(scale, rel=1e-14)


def test_a_trajectory_starts_at_the_given_point_and_converges(capsys):
    (entry,) = document(capsys, "--from", "0.5", "3", "--depth", "200")["runs"]
    path = entry["trajectory"]
    assert len(path) == 201
    assert path[0] == [0.5, 3.0]
    assert path[-1] == pytest.approx([0.0, 1.0], abs=1e-12)


def test_words_tables_and_theorems(capsys):
    _, out, _ = call(capsys)
    assert "stable: perturbations shrink ×0.783 per layer" in out
    _, out, _ = call(capsys, "--map", "unit")
    assert "Inside the domain of theorem 1" in out
    _, out, _ = call(capsys, "-a", "relu", "--weight-gain", "2")
    assert "grow" in out
    for form in ("table", "csv", "markdown", "json"):
        code, out, err = call(capsys, "--theorems", "-f", form)
        assert (code, err) == (0, "")
        assert "theorem 2" in out
        code, out, err = call(capsys, "-f", form, "--from", "0", "2", "-d", "3")
        assert (code, err) == (0, "")
        assert out


def test_several_gains_and_biases_make_a_report_for_each(capsys):
    gains = ["-a", "tanh,relu", "--weight-gain", "1,2", "--bias-std", "0.1", "--bias-std", "0.2"]
    _, out, _ = call(capsys, *gains, "-f", "json")
    found = json.loads(out)["runs"]
    assert [(f["activation"], f["weight_gain"], f["bias_std"]) for f in found] == [
        (name, gain, bias) for name in ("tanh", "relu") for gain in (1, 2) for bias in (0.1, 0.2)
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--map", "unit", "--weight-gain", "1"], "--weight-gain"),
        (["--map", "ensemble", "--weight-sum", "1"], "--weight-sum"),
        (["--target-mean", "0", "-a", "relu"], "relu"),
        (["--target-variance", "-1"], "-1.0"),
        (["--target-mean", "nan"], "nan"),
        (["--from", "0", "-1"], "-1.0"),
        (["--from", "0"], "2 values"),
        (["--depth", "0"], "depth"),
        (["--theorems", "--depth", "3"], "--depth"),
        (["--weight-gain", "-2"], "-2.0"),
        (["--weight-square-sum", "inf"], "inf"),
        (["--from", "0", "1", "--layers", "0,99", "--depth", "5"], "99"),
        (["-o", "/"], "directory"),
        (["--map", "mean"], "mean"),
    ],
)
def test_bad_usage_gives_one_line_and_exit_code_2(capsys, arguments, words):
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("snstat: error: ")
    assert err.count("\n") == 1
    # click 8.1 and later versions word their own messages differently.
    assert words in err or words.replace("2 values", "2 arguments") in err


def test_an_impossible_target_is_refused_with_the_reason(capsys):
    code, _, err = call(capsys, "--target-mean", "5", "--target-variance", "0.001")
    assert code == 2
    assert err.count("\n") == 1
