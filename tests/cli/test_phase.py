"""`snstat plot --kind phase`: ranges, saved runs, and what is refused."""

from __future__ import annotations

import pytest

from snstat.cli import run
from snstat.cli.depth_scale import GAINS, simulated_options
from snstat.cli.options import REAL
from snstat.cli.phase import NumberOrRange, Range
from snstat.cli.plot import command

PHASE = ("plot", "--kind", "phase", "-a", "tanh")


def call(capsys, *arguments):
    code = run([*arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_plane_with_its_runs_is_drawn(capsys, tmp_path):
    saved, path = tmp_path / "run.json", tmp_path / "phase.svg"
    small = ("-d", "2", "-w", "8", "-b", "4", "-t", "2")
    words = ("-a", "tanh", "--weight-gain", "1.5,1.2", "--bias-std", "0.3")
    assert call(capsys, "propagate", *small, *words, "-o", str(saved))[0] == 0
    ranges = ("--weight-gain", "1:2", "--bias-std", "0:1/2")
    told = call(capsys, *PHASE, *ranges, "--runs", str(saved), "-o", str(path))
    assert told == (0, "", f"snstat: wrote {path}: phase, svg\n")
    text = path.read_text()
    for word in ("ordered", "chaotic", "χ = 1", "saved runs", "weight gain G", "trials"):
        assert word in text


def test_axes_and_small_multiples(capsys, tmp_path):
    path = tmp_path / "phase.svg"
    words = ("-a", "relu,selu", "--axes", "variance", "--contour", "both")
    assert call(capsys, *PHASE[:3], *words, "-o", str(path))[0] == 0
    text = path.read_text()
    for word in ("SELU", "ReLU", "G²", "q* infinite", "q* = 0"):
        assert word in text


def test_an_activation_under_two_names_is_one_plane(capsys, tmp_path):
    path = tmp_path / "phase.svg"
    words = ("-a", "silu,swish,SiLU", "--contour", "none", "-o", str(path))
    assert call(capsys, *PHASE[:3], *words)[0] == 0
    assert path.read_text().count(">ordered<") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--weight-gain", "3:0.5"), "--weight-gain is '3:0.5', but must be LOW:HIGH"),
        (("--weight-gain", "1:1"), "LOW below HIGH"),
        (("--weight-gain", "1.5"), "must be LOW:HIGH"),
        (("--weight-gain", "1:2,2:3"), "one range"),
        (("--weight-gain", "1:2:3"), "LOW:HIGH"),
        (("--weight-gain", "1:x"), "LOW:HIGH"),
        (("--weight-gain", "0:1e300"), "from 0 to 1e+100"),
        (("--bias-std", "-1:1"), "--bias-std is -1.0"),
        (("--axes", "sideways"), "gain or variance"),
        (("--contour", "xi"), "--contour"),
        (("--depth", "3"), "--depth cannot be used with --kind phase"),
        (("--runs", "missing.json"), "missing.json"),
    ],
)
def test_bad_options_are_refused_in_a_line(capsys, tmp_path, words, message):
    path = tmp_path / "phase.png"
    code, out, err = call(capsys, *PHASE, *words, "-o", str(path))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not path.exists()


def test_ranges_and_names_of_axes_are_for_phases_only(capsys, tmp_path):
    for words in (("--weight-gain", "1:2"), ("--axes", "variance"), ("--runs", "x.json")):
        code, _, err = call(capsys, "plot", *words, "-o", str(tmp_path / "x.png"))
        assert code == 2
        assert words[0] in err


def test_a_saved_run_is_a_dot_and_of_what_is_drawn(capsys, tmp_path):
    saved = tmp_path / "run.json"
    small = ("-d", "2", "-w", "8", "-b", "4", "-t", "2")
    assert call(capsys, "propagate", *small, "-o", str(saved))[0] == 0
    code, _, err = call(capsys, "plot", str(saved), "--kind", "phase", "-o", "x.png")
    assert (code, "--runs" in err) == (2, True)
    code, _, err = call(capsys, *PHASE, "--runs", str(saved), "-o", "x.png")
    assert code == 2
    assert "add -a selu" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--weight-gain", "1.5"), "must be LOW:HIGH"),
        (("--bias-std", "0:1"), "must be a number with --kind depth-scale"),
        (("--bias-std", "0,0.1,0.2,0.3,0.4,0.5,0.6,0.7"), "at most 7"),
        (("--contour", "both"), "--contour cannot be used with --kind depth-scale"),
        (("-a", "relu"), "--bias-std is 0.0, but must be above 0 for a depth scale of ReLU"),
        (("-a", "identity,relu"), "--bias-std is 0.0, but must be above 0"),
        (
            ("-a", "relu", "--bias-std", "0.1", "--weight-gain", "1.5:3"),
            "--weight-gain is '1.5:3', but must be a range with a depth scale of ReLU",
        ),
        (("-a", "relu", "--weight-gain", "2:3"), "grow without bound, choose smaller gains"),
        (("-a", "tanh", "--bias-std", "9", "--weight-gain", "0:0.001"), "from 0.5 to 3,000 layers"),
    ],
)
def test_bad_options_of_depth_scales(capsys, tmp_path, words, message):
    path = tmp_path / "scales.png"
    code, out, err = call(capsys, "plot", "--kind", "depth-scale", *words, "-o", str(path))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert not path.exists()


SIMULATE = ("plot", "--kind", "depth-scale", "-a", "tanh", "--simulate")


def test_simulations_are_at_the_middles_of_equal_parts_of_the_range():
    context = command.make_context("plot", [*SIMULATE[1:], "--weight-gain", "0:2", "-w", "9"])
    chosen = simulated_options(context, context.params)
    expected = [(2 * place + 1) / GAINS for place in range(GAINS)]
    assert chosen["weight_gain"] == pytest.approx(expected, rel=1e-12)
    sizes = {name: chosen[name] for name in ("depth", "width", "batch", "trials", "bias_std")}
    expected = {"depth": (64,), "width": (9,), "batch": (8,), "trials": (4,), "bias_std": ()}
    assert sizes == expected


def test_depth_scales_are_drawn_over_simulations(capsys, tmp_path):
    path = tmp_path / "scales.svg"
    small = ("-d", "3", "-w", "8", "-b", "4", "-t", "2", "--seed", "3")
    told = call(capsys, *SIMULATE, *small, "-o", str(path))
    assert told == (0, "", f"snstat: wrote {path}: depth-scale, svg\n")
    text = path.read_text()
    assert "cosine of two inputs, simulated" in text
    assert "seed 3" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-a", "relu"), "-a is 'tanh,relu', but must be one value with --simulate"),
        (("-d", "8,16"), "-d is '8,16', but must be one value with --simulate"),
        (("-b", "1"), "at least 2 with --simulate"),
        (("--bias-std", "0:1"), "must be a number with --kind depth-scale"),
        (("--weight-gain", "2"), "must be LOW:HIGH"),
        (("--backward",), "--backward cannot be used with --kind depth-scale"),
        (("--kind", "phase"), "--simulate cannot be used with --kind phase"),
    ],
)
def test_bad_simulations_are_refused_in_a_line(capsys, tmp_path, words, message):
    code, out, err = call(capsys, *SIMULATE, *words, "-o", str(tmp_path / "x.png"))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert [*tmp_path.iterdir()] == []


def test_numbers_and_ranges_are_read():
    kind = NumberOrRange(REAL)
    assert kind.read("weight_gain", "sqrt(4)") == 2.0
    assert kind.read("weight_gain", "1/2 : 2") == Range(0.5, 2.0)
    assert str(Range(0.5, 2.0)) == "0.5:2"
