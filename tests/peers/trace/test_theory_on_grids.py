"""Theory beside traces of convolutional modules: that of the network that a module is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import snstat
from snstat import Network, cli
from snstat import layers as L  # noqa: N812  # as its page writes it
from snstat.layers.shape import Shape
from snstat.results import OF_POSITIONS
from snstat.sources.torch.draws import Draws
from tests.peers.trace.grid_models import ConvNeXt, PreResNet, Waves, convnet, generator
from tests.peers.trace.models import Mixed, ResNet, UNet
from tests.peers.trace.own_modules import conv, own, theory_of, traced
from tests.peers.trace.test_theory import DEFAULT, NAMES, assert_theory_of, ends, unknown

pytestmark = pytest.mark.peers


@pytest.mark.parametrize(
    ("target", "inputs", "settings"),
    [
        (convnet, "Bx3x8x8", {"pool": nn.AvgPool2d}),
        (PreResNet, "Bx3x8x8", {}),
        (ConvNeXt, "Bx3x16x16", {"scale": 0.5}),
        (Waves, "Bx4x16", {}),
    ],
    ids=["convnet", "resnet", "convnext", "waves"],
)
def test_fresh_trials_agree_with_theory(target, inputs, settings):
    """Second moments and gradients are those at any width where weights follow, but for the ε of
    norms, which is below a thousandth, and the batch norm of few entries, which is below 2 %.
    P(|t| > 4.5) is below 2e-4 for 23 degrees of freedom, of about 60 numbers; the seed is fixed."""
    run = snstat.trace(target, inputs, trials=24, batch=8, set=settings, seed=3)
    assert ends(run) == []
    for name in ("second_moment", "gradient"):
        found = run.statistics[name]
        assert np.isfinite(found.theory).all()
        slack = 0.02 if name == "gradient" else 1e-3
        off = np.abs(found.estimate - found.theory) - slack * found.theory
        assert (off <= 4.5 * np.nan_to_num(found.stderr)).all(), name
    for name in ("cosine", "position_cosine"):
        found = run.statistics[name]
        there = np.isfinite(found.estimate)
        assert np.isfinite(found.theory[there]).all()
        assert np.abs(found.estimate - found.theory)[there].max() < 0.06, name


def test_a_simulation_of_the_layers_agrees():
    """Gradients through the batch norms of a generator are off by 4 % from infinite width. Those of
    snstat's own network are off alike: |t| < 4.5 of about 94 degrees of freedom."""
    run, network = traced(generator, "Bx64x1x1", trials=48, batch=32)
    other = snstat.propagate(network, trials=48, batch=32, backward=True)
    for name in ("second_moment", "cosine", "position_cosine", "gradient"):
        one, two = run.statistics[name], other.statistics[name]
        rows = slice(1, 8)  # the last one is that which gradients are relative to
        off = one.estimate[rows] - two.estimate[rows]
        off /= np.hypot(one.stderr[rows], two.stderr[rows])
        assert np.abs(off).max() < 4.5, name


def test_a_convolutional_network_has_the_theory_of_propagate():
    run = theory_of(convnet, "Bx3x8x8", batch=8)
    assert ends(run) == [("4", 1, "MaxPool2d: the law of a maximum is not one of a few moments")]
    plain = {"init": "torch_default", "bias_std": 0.0}
    parts = (
        L.Conv(channels=32, kernel=3, **DEFAULT),
        L.Conv(channels=32, kernel=3, **plain),
        L.BatchNorm(),
        L.Activation("relu"),
        L.MaxPool(2),
        L.Conv(channels=32, kernel=3, **DEFAULT),
        L.MeanPool(2),
        L.Flatten(),
        L.Dense(10, **DEFAULT),
    )
    names = (*NAMES, *OF_POSITIONS)
    assert_theory_of(
        run, Network(Shape(3, (8, 8)), L.chain(*parts)), map(str, range(9)), names=names
    )
    assert run["3"].second_moment.theory == pytest.approx(0.5, rel=1e-3)
    # Both backward passes are known behind the maximum, and the signal is not.
    assert unknown(run, "5")
    assert not unknown(run, "5", "gradient")


CASES = [
    ("resnet", PreResNet, "Bx3x8x8", 27),
    ("convnext", ConvNeXt, "Bx3x16x16", 8),
    ("waves", Waves, "Bx4x8", 14),
    ("generator", generator, "uniform:Bx64x1x1", 8),
    ("unet", UNet, "Bx3x8x8", 6),
]


@pytest.mark.parametrize(("name", "target", "inputs", "depth"), CASES, ids=[c[0] for c in CASES])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_network_file_has_the_theory_of_the_trace(
    name, target, inputs, depth, mode, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    words = [f"tests.peers.trace.{'models' if name == 'unet' else 'grid_models'}:{target.__name__}"]
    words += ["--input", inputs, "-t", "2", "--batch", "4", "--mode", mode]
    assert cli.run(["trace", *words, "--as-network", "own.toml", "-o", "run.json"]) == 0
    assert f"wrote own.toml: {depth} layers" in capsys.readouterr().err
    run = snstat.load("run.json")
    net = snstat.propagate("own.toml", trials=2, batch=4, backward=True, train=mode == "train")
    found = {row.name.rpartition(".")[2]: n for n, row in enumerate(net.network.layers)}
    compared = 0
    for number in range(1, run.depth + 1):
        row = run.module.rows[number - 1]
        path = row.path.replace(".", "_") + (f"-{row.call}" if row.call > 1 else "")
        layer = found.get(path if path[0].isalpha() else f"layer_{path}")
        if layer is None:
            continue
        compared += 1
        for statistic in (*NAMES, *OF_POSITIONS):
            if statistic not in run.statistics:
                continue
            one, other = run.statistics[statistic], net.statistics[statistic]
            for part in ("theory", "expected"):
                seen, wanted = getattr(one, part)[number], getattr(other, part)[layer]
                np.testing.assert_allclose(seen, wanted, rtol=1e-12, atol=1e-15)
    assert compared >= 5


def test_weights_that_are_scaled_by_a_tenth_are_found_out():
    def scaled():
        model = PreResNet()
        with torch.no_grad():
            model.stages[1].conv1.weight.mul_(1.1)
        return model

    run = theory_of(scaled, "Bx3x8x8")
    assert ends(run)[0] == ("stages.1.conv1", 1, "its weights fit no named initialiser")
    assert not unknown(run, "stages.1.relu#1")
    assert unknown(run, "stages.1.conv1")


def test_theory_that_does_not_hold_is_seen_in_z(monkeypatch):
    """Of 1.1 times the gain, E[x²] is 1.21 times as large."""
    first = Draws.weights

    def larger(self, name, **options):
        found = first(self, name, **options)
        return {"init": found["init"], "weight_gain": 1.1 * 3**-0.5, "bias_std": None}

    monkeypatch.setattr(Draws, "weights", larger)
    wide = own(lambda m, x: m.b(m.a(x)), a=conv(8, 64), b=conv(64, 64))
    found = theory_of(wide, "Bx8x8x8", trials=16)["b"].second_moment
    assert found.z < -4.0


def test_a_residual_network_whose_blocks_end_in_an_activation():
    """The activation of a sum that is not Gaussian is not known."""
    run = theory_of(ResNet, None)
    path, call, reason = ends(run)[0]
    assert (path, call) == ("layer1.0.relu", 2)
    assert reason == "ReLU: it follows values that are not Gaussian"
    assert not unknown(run, "layer1.0.bn2")


def test_depthwise_and_joined_channels():
    class Joined(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.deep = (
                nn.Conv2d(32, 32, 3, padding=1),
                nn.Conv2d(32, 64, 5, groups=32, padding=2),
            )

        def forward(self, x):
            return torch.cat([self.wide(x), self.deep(x)], -3)

    run = theory_of(Joined, "Bx32x6x6", trials=24)
    assert ends(run) == []
    whole = run["Joined"]
    parts = [run[name].second_moment.theory for name in ("wide", "deep")]
    assert whole.second_moment.theory == pytest.approx((parts[0] + 2.0 * parts[1]) / 3.0)
    assert abs(whole.second_moment.z) < 4.0


def test_channels_last_within_channels_first():
    run = theory_of(Mixed, "Bx3x6x6", trials=24)
    assert ends(run) == [("relu", 1, "ReLU: it follows values that are not Gaussian")] or not ends(
        run
    )
    for name in ("norm", "up", "down", "last"):
        assert not unknown(run, name, "position_cosine")
        assert not unknown(run, name, "variance_over_units")


def test_rows_of_other_axes_have_no_theory_of_these():
    """Positions that are taken for units make averages over units other ones."""
    plain = theory_of(lambda: nn.Conv1d(8, 16, 1), "Bx8x5")
    given = theory_of(lambda: nn.Conv1d(8, 16, 1), "Bx8x5", axes={"*": "S,P,U"})
    for name in ("variance_over_units", "position_cosine", "cosine"):
        assert not unknown(plain, "Conv1d", name)
        assert unknown(given, "Conv1d", name)
    for name in ("mean", "variance", "second_moment", "gradient"):
        assert not unknown(given, "Conv1d", name)


def test_what_theory_takes_is_said_and_bounded(monkeypatch):
    from snstat.experiment import mapped
    from snstat.experiment.trace import TracePlan, TraceSettings

    def told(size):
        heard = []
        settings = TraceSettings(inputs=f"Bx3x{size}x{size}", trials=1, batch=4, backward=False)
        net = own(lambda m, x: m.norm(m.a(x)), a=conv(3, 64), norm=lambda: nn.BatchNorm2d(64))
        return TracePlan(net, settings).traced(heard.append)[0], heard

    run, heard = told(66)
    words = "BatchNorm2d: pairs of positions are not followed, more than 4,096 positions"
    assert ends(run) == [("norm", 1, f"{words}; try smaller inputs")]
    assert heard == []
    monkeypatch.setattr("snstat.experiment.theory_room.QUICK_PAIRS", 10)
    run, heard = told(5)
    assert heard == ["theory of 162 pairs of positions takes about 0 s"]
    assert ends(run) == []
    monkeypatch.setattr(mapped, "free_memory", lambda: 2.0**13)
    run, heard = told(5)
    ((_, _, reason),) = ends(run)
    assert reason.startswith("theory of pairs of positions takes 0.00000")
    assert "GiB, more than 0.00000381 GiB, a half of what is free; try smaller inputs" in reason
    assert heard == []
