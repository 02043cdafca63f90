"""The network files of the examples show what they claim: by theory, and simulated.

Those on grids are in tests/test_example_networks_on_grids.py.
"""

from __future__ import annotations

import math
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import snstat
from snstat.cli import run as run_command
from tests.example_networks import (
    BEYOND,
    FOLDER,
    WIDTH,
    agrees,
    gaussian,
    propagate,
    rows,
    selu,
    sigmoid,
    simulated,
)

pytestmark = pytest.mark.examples


def test_mlp_keeps_the_second_moment_and_the_gradient():
    run = simulated("mlp", width=16, backward=True)
    assert [row.shape for row in run.layers] == [(784,), (128,), (64,), (16,), (10,)]
    np.testing.assert_allclose(run.second_moment.theory, 1.0, rtol=1e-12)
    np.testing.assert_allclose(run.gradient.theory, 1.0, rtol=1e-12)
    # E relu(z)² = E z²/2 holds at any width, so no bias adds to the error of simulation.
    assert agrees(run.second_moment, np.arange(5))


def test_snn_alpha_dropout_keeps_mean_and_variance():
    run = simulated("snn")
    drops = rows(run, "drop")
    assert len(drops) == 32
    # The constants of selu are given to 16 digits.
    np.testing.assert_allclose(run.mean.theory[drops], 0.0, atol=1e-12)
    np.testing.assert_allclose(run.variance.theory[drops], 1.0, rtol=1e-12)
    # After the last layer, the biases of 1/width are as small as 1 %, the errors 0.5 %.
    assert agrees(run.mean, drops[-1:])
    assert agrees(run.variance, drops[-1:])


def test_snn_plain_dropout_moves_mean_and_variance():
    run = simulated("snn_plain_dropout")
    drops, keep = rows(run, "drop"), 0.9
    mean, second = 0.0, 1.0
    for layer in drops:
        mean = gaussian(selu, 0.0, second)
        second = gaussian(lambda x: selu(x) ** 2, 0.0, second) / keep
        assert run.mean.theory[layer] == pytest.approx(mean, abs=1e-10)
        assert run.second_moment.theory[layer] == pytest.approx(second, rel=1e-10)
    assert (round(mean, 2), round(second - mean**2, 2)) == (0.06, 1.62)
    assert agrees(run.mean, drops[-1:])
    # The bias of 1/width adds to the error: 32 layers of correlated networks, each off by a part of
    # 1/64.
    assert run.variance.estimate[-1] == pytest.approx(1.62, rel=0.05)


def test_prenorm_adds_up_its_branches():
    run = simulated("prenorm", batch=4)
    sums = rows(run, "ffn")
    # The norm's ε = 1e-5 takes up to 1e-5 of each branch.
    np.testing.assert_allclose(run.second_moment.theory[sums], np.arange(2, 50), rtol=1e-5)
    # Branches of ReLU add E relu(z)² = E z²/2 on average at any width: there is no bias.
    after = sums[[0, 11, 23, 47]]
    assert np.round(run.second_moment.theory[after]).tolist() == [2, 13, 25, 49]
    assert agrees(run.second_moment, after)


def test_prenorm_with_small_branches_stays_near_its_input():
    run = simulated("prenorm", batch=4, scale=1 / math.sqrt(2 * 48))
    sums = rows(run, "ffn")
    after = 1 + np.arange(1, 49) / 96
    np.testing.assert_allclose(run.second_moment.theory[sums], after, rtol=1e-5)
    assert agrees(run.second_moment, sums[[0, 11, 23, 47]])


def test_prenorm_gradients_grow_with_the_depth():
    run = simulated("prenorm", batch=4, backward=True, blocks=8, width=128)
    # g is divided by 1 + 1/q at a block, and q goes from l to l + 1: 9 = Π (1 + 1/l) over 8 blocks.
    assert run.gradient.theory[0] == pytest.approx(9.0, rel=1e-4)
    # Biases of 1/width in the logarithm of 8 blocks: 8 × 2/128 at most.
    off = math.log(run.gradient.estimate[0] / 9.0)
    assert abs(off) < BEYOND * run.gradient.stderr[0] + 8 * 2 / 128


def test_postnorm_keeps_the_second_moment_and_the_gradient():
    run = simulated("postnorm", batch=4, backward=True)
    norms = rows(run, "norm")
    assert len(norms) == 48
    # ε of 48 norms.
    np.testing.assert_allclose(run.second_moment.theory[norms], 1.0, rtol=1e-5)
    np.testing.assert_allclose(run.second_moment.estimate[norms], 1.0, rtol=2e-5)
    # The gradient loses ε at each norm: (1 + 1/1)/(1 + 1/1) is 1 exactly.
    np.testing.assert_allclose(run.gradient.theory[norms], 1.0, rtol=48 * 1e-5)
    # Of geometric means of networks of width 64: 48 blocks of 2/64 each, and the error.
    assert abs(math.log(run.gradient.estimate[0])) < BEYOND * run.gradient.stderr[0] + 48 * 2 / 64


def batch_norm_factor(batch):
    """Return by what squared gradients grow in a layer of batch norm and ReLU, far from the ends.

    After batch norm, samples of one unit have second moment 1 and correlation ρ = −1/(B − 1), so
    E relu² = 1/2 and E relu relu' is the arc-cosine kernel K(ρ); the variance over the batch before
    the norm is v = 1/2 − K(ρ). On the way back A₁ = (B − 2)/2,
    A₂ = B/2 − 1 − (B − 1)(P + K) with P the probability that both are positive.
    """
    rho = -1 / (batch - 1)
    kernel = (math.sqrt(1 - rho**2) + rho * (math.pi - math.acos(rho))) / (2 * math.pi)
    both = (math.pi - math.acos(rho)) / (2 * math.pi)
    own, other = (batch - 2) / 2, batch / 2 - 1 - (batch - 1) * (both + kernel)
    h = rho  # of a gradient g = 1
    return ((1 - h) * own + h * other) / ((0.5 - kernel) * (batch - 3))


@pytest.mark.parametrize("batch", [8, 64])
def test_batchnorm_gradients_grow(batch):
    run = propagate("batchnorm", batch=batch, backward=True, width=4)
    gradient = run.gradient.theory[rows(run, "relu")]
    # Not of the last layer, above which gradients of samples are independent. ε = 1e-5 is 3e-5 of
    # v.
    factors = gradient[:-2] / gradient[1:-1]
    np.testing.assert_allclose(factors, batch_norm_factor(batch), rtol=1e-4)


def test_batchnorm_in_the_limit_of_large_batches():
    # It is approached as 1/B: the limit is 1.4669, and the factor 1.4673 at B = 4,096.
    limit = math.pi / (math.pi - 1)
    assert batch_norm_factor(10**6) == pytest.approx(limit, rel=1e-5)
    run = propagate("batchnorm", batch=4096, backward=True, width=4, blocks=3, trials=1)
    gradient = run.gradient.theory[rows(run, "relu")]
    assert gradient[0] / gradient[1] == pytest.approx(limit, rel=1e-3)


def test_batchnorm_simulated():
    run = simulated("batchnorm", batch=32, backward=True, blocks=4, width=256)
    relu = rows(run, "relu")
    np.testing.assert_allclose(run.second_moment.theory[relu], 0.5, rtol=1e-4)
    # Biases of 1/width at a layer: 32 samples of 256 units have Gram matrices that are 32/256 off.
    off = np.log(run.gradient.estimate[relu] / run.gradient.theory[relu])
    assert np.all(np.abs(off) < BEYOND * run.gradient.stderr[relu] + 32 / 256)


def test_standardized_weights_follow_the_unit_map():
    run = simulated("weight_standardized")
    layers = run.depth
    assert layers == 16
    mean, variance = 1.0, 4.0
    other = mean, variance
    for layer in range(1, layers + 1):
        mean, variance = snstat.unit_map(
            "selu", mean, variance, weight_sum=0.0, weight_square_sum=1.0
        )
        other = snstat.ensemble_map("selu", *other)
        assert run.mean.theory[layer] == pytest.approx(mean, abs=1e-10)
        assert run.variance.theory[layer] == pytest.approx(variance, rel=1e-10)
        # The variance that weights without the constraint give is larger by 4 % or more at first.
        assert layer > 4 or other[1] > 1.04 * variance
    # Fan-in 64: an estimate of the variance is 64/63 of the theory in a layer.
    early = np.arange(1, 5)
    for statistic in (run.mean, run.variance):
        off = np.abs(statistic.estimate - statistic.theory)[early]
        assert np.all(off < BEYOND * statistic.stderr[early] + statistic.theory[early] / 63)


def test_plain_weights_follow_the_ensemble_map():
    form = snstat.Network.load(FOLDER / "weight_standardized.toml", set={"width": WIDTH}).form()
    (body,) = form["layers"]
    (layer,) = body["layers"]
    del layer["weights"]
    run = snstat.propagate(snstat.Network.read(form), trials=2, batch=4)
    first = snstat.ensemble_map("selu", 1.0, 4.0)
    assert run.variance.theory[1] == pytest.approx(first[1], rel=1e-12)
    assert first[1] > 1.15 * snstat.unit_map("selu", 1.0, 4.0)[1]


@pytest.mark.parametrize("bias", [-4.0, -1.0])
def test_highway_layers_lose_the_input(bias):
    run = simulated("highway", transfer_bias=bias)
    second = 1.0
    for layer in range(1, run.depth + 1):
        opened = gaussian(lambda z: sigmoid(z) ** 2, bias, second)
        closed = gaussian(lambda z: sigmoid(-z) ** 2, bias, second)
        # tanh is odd, so the mean stays 0 and there is no cross term.
        second = opened * gaussian(lambda z: math.tanh(z) ** 2, 0.0, second) + closed * second
        assert run.second_moment.theory[layer] == pytest.approx(second, rel=1e-9)
    assert (second > 0.1) == (bias == -4.0)
    few = [1, 4, 16]
    assert agrees(run.second_moment, few)


# Example, parameters, expected verdict, broken rules.
VERDICTS = [
    ("mlp", {}, "stable", set()),
    ("snn", {}, "stable", {"SN303"}),
    ("snn", {"blocks": 8}, "stable", set()),
    ("snn_plain_dropout", {}, "stable", {"SN104", "SN303"}),
    ("prenorm", {}, "stable", set()),
    ("prenorm", {"blocks": 120}, "exploding", {"SN102"}),
    ("prenorm", {"blocks": 120, "scale": 0.1}, "stable", set()),
    ("postnorm", {}, "stable", set()),
    ("batchnorm", {"blocks": 20}, "stable", set()),
    ("batchnorm", {}, "gradient-exploding", {"SN202", "SN203"}),
    ("weight_standardized", {}, "stable", set()),
    ("highway", {}, "stable", set()),
    ("highway", {"transfer_bias": -1}, "vanishing", {"SN101", "SN201"}),
    ("wavenet", {}, "stable", set()),
    # An impulse is 0 at all other times, which SN403 says.
    ("lstm", {}, "vanishing", {"SN101", "SN301", "SN403"}),
    ("lstm", {"forget_bias": 1}, "collapsed", {"SN301", "SN403"}),
    ("gru", {}, "collapsed", {"SN301", "SN403"}),
    ("elman", {}, "collapsed", {"SN201", "SN301", "SN403"}),
    ("elman", {"init": "lecun_normal"}, "stable", {"SN403"}),
    ("snn_conv", {"width": 16}, "stable", set()),
    ("unet", {"width": 16}, "stable", set()),
    ("resnet", {"width": 8}, "collapsed", {"SN301"}),
    ("fast_rcnn_backbone", {"width": 8}, "stable", set()),
    ("slicenet", {}, "stable", set()),
    ("acgan", {"width": 16}, "stable", set()),
    ("acgan", {"width": 16, "small": 1}, "stable", set()),
    ("acgan_critic", {"width": 16}, "stable", set()),
    ("acgan_critic", {"width": 16, "small": 1}, "vanishing", {"SN101"}),
    ("encoder_prenorm", {}, "stable", set()),
    ("encoder_postnorm", {}, "stable", set()),
    ("transformer", {}, "stable", set()),
]


@pytest.mark.parametrize(("name", "parameters", "verdict", "codes"), VERDICTS)
def test_the_verdict_on_an_example(name, parameters, verdict, codes):
    found = snstat.check(
        FOLDER / f"{name}.toml", set={"width": WIDTH} | parameters, batch=64, trials=4
    )
    assert found.verdict == verdict
    assert {entry.code for entry in found.findings} == codes


def test_every_example_has_a_verdict_and_says_what_it_shows():
    files = {path.stem: path.read_text("utf-8") for path in FOLDER.iterdir()}
    assert files.keys() == {name for name, *_ in VERDICTS}
    for text in files.values():
        first = text.splitlines()[0]
        assert first.startswith("# ")
        assert 40 < len(first) <= 140


ROW = re.compile(
    r"^\| \[(?P<file>[\w.]+)\]\((?P<path>[\w./]+)\)(?: ¹)? \|(?P<rest>.*)\|$", re.MULTILINE
)


def page():
    """Return the rows about files in the page of the examples: name, path and the rest of each."""
    return [row.groups() for row in ROW.finditer((FOLDER.parent / "README.md").read_text("utf-8"))]


def test_every_example_has_a_row_on_the_page():
    files = {
        path.name: str(path.relative_to(FOLDER.parent))
        for path in (*FOLDER.parent.glob("*.*"), *FOLDER.iterdir())
        if path.name != "README.md"
    }
    assert {name: path for name, path, _ in page()} == files


@pytest.mark.parametrize(
    ("path", "command"),
    [(path, shown) for _, path, rest in page() for shown in re.findall(r"`snstat (.+?)`", rest)],
)
def test_the_commands_of_the_page_run(path, command, monkeypatch, capsys):
    """At a small width; exit code 1 is a verdict."""
    monkeypatch.chdir(FOLDER.parent)
    arguments = shlex.split(command)
    assert path in arguments
    few = [] if arguments[0] == "show" else ["-t", "2", "-b", "8"]
    code = run_command([*arguments, "--set", "width=16", *few])
    assert code == 0 or (arguments[0], code) == ("check", 1)
    assert Path(path).stem in capsys.readouterr().out


def test_every_example_has_a_picture_of_its_own():
    text = (FOLDER.parent / "README.md").read_text("utf-8")
    for path in FOLDER.iterdir():
        picture = FOLDER.parent.parent / "docs" / "networks" / f"{path.stem}.svg"
        assert f"](../docs/networks/{picture.name})" in text
        drawn = picture.read_text("utf-8")
        assert f"examples/networks/{path.name}" in drawn  # the command is in the metadata
        assert f"{path.stem} · " in drawn  # and the network in the caption
