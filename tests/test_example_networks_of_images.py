"""The example networks that come from papers on images show what they claim.

Theory of batch norm on grids and of max pools is not known, so much of it is simulated.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import snstat
from snstat.errors import LayerError
from snstat.network.network import Network
from tests.example_networks import BEYOND, FOLDER, TRIALS, agrees, propagate, simulated

pytestmark = pytest.mark.examples


def numbers(run):
    """Return the number of each layer by its name."""
    return {row.name: row.layer for row in run.layers}


def test_resnet_blocks_add_one():
    path, size = FOLDER / "resnet.toml", {"width": 8}
    run = snstat.propagate(path, set=size, trials=TRIALS, batch=16, keep_trials=True)
    second, number = run.second_moment.trials, numbers(run)
    pairs = {
        "stage1.0.sum": "stem.relu",
        "stage1.1.sum": "stage1.0.relu",
        "stage2.0.sum": "down.relu",
        "stage2.1.sum": "stage2.0.relu",
    }
    added = [second[:, number[after]] - second[:, number[x]] for after, x in pairs.items()]
    added.append(second[:, number["down.sum"]] - 1.0)  # its shortcut has batch norm, too
    # Batch norm gives a second moment of 1, but for ε over a variance of 0.3 or more. The branch
    # is as likely to have the other sign, as the weights of its last convolution are.
    for found in added:
        error = found.std(ddof=1) / math.sqrt(TRIALS)
        assert abs(found.mean() - 1.0) < BEYOND * error + 1e-4
        assert error < 0.05
    # The activation after a sum is of no Gaussian: theory ends there, with that of batch norm.
    theory, last = run.second_moment.theory, number["stage1.0.sum"]
    assert theory[last] - theory[number["stem.relu"]] == pytest.approx(1.0, abs=1e-4)
    assert np.isnan(theory[last + 1 :]).all()


def test_resnet_pool_makes_inputs_alike():
    run = simulated("resnet", width=8)
    number = numbers(run)
    assert run.cosine.estimate[number["stage2.1.relu"]] < 0.6
    assert run.cosine.estimate[number["pool"]] > 0.97


def test_vgg_max_pools_add_more_than_padding_loses():
    run = simulated("fast_rcnn_backbone", width=32, batch=4)
    number = numbers(run)
    # Three taps at 30 of 32 positions and two at the ends, along both axes.
    first = number["body.conv1_1"]
    assert run.second_moment.theory[first] == pytest.approx((94 / 96) ** 2, rel=1e-12)
    # A unit after ReLU has E z² E[x x'] = (E relu)² = 1/π of other positions, so z of neighbours
    # have that correlation: z = √ρ s + √(1−ρ) e, and the maximum of four e has the density
    # 4 φ Φ³.
    rho = 1 / math.pi

    def squared(x):
        """Return E max(√ρ s + √(1−ρ) x, 0)² over s."""
        mean, variance = math.sqrt(1 - rho) * x, rho
        at = mean / math.sqrt(variance)
        return (mean**2 + variance) * norm.cdf(at) + mean * math.sqrt(variance) * norm.pdf(at)

    grown, _ = quad(lambda x: 4 * norm.pdf(x) * norm.cdf(x) ** 3 * squared(x), -8, 8)
    before, after = (number[f"body.{name}"] for name in ("conv1_2", "pool1"))
    estimate = run.second_moment.estimate
    error = np.hypot(*(run.second_moment.stderr / estimate)[[before, after]])
    # At the border (a quarter of the windows), correlations are 0.06 smaller, which is 2 % of the
    # square of a maximum. A layer of 32 units is Gaussian but for a part of 1/32.
    off = math.log(estimate[after] / estimate[before] / (2 * grown))
    assert abs(off) < BEYOND * error + 0.02 / 4 + 1 / 32
    pools = [estimate[number[f"body.pool{n}"]] for n in (1, 2, 3)]
    assert 1.0 < pools[0] < pools[1] < pools[2]
    assert estimate[number["body.conv3_3"]] < pools[1]
    assert np.isnan(run.second_moment.theory[after:]).all()


def test_slicenet_has_few_weights():
    """K²N + N² of them where an ordinary convolution has K²N²; biases are counted apart."""
    width, depth = 64, 6
    counts = []
    for separable in (1, 0):
        network = Network.load(FOLDER / "slicenet.toml", set={"separable": separable})
        rows = list(network.rows())
        matrices = [own for row in rows for own in row.layer.matrices(row.before)]
        counts.append(sum(own.fan_in * own.fan_out for own in matrices))
        assert {row.layer.kind for row in rows} == (
            {"depthwise_conv", "dense", "separable_conv"} if separable else {"conv"}
        )
    few, many = depth * (9 * width + width**2), depth * 9 * width**2
    assert counts == [few, many]
    assert 7.8 < many / few < 8


@pytest.mark.parametrize("separable", [1, 0])
def test_slicenet_keeps_second_moments(separable):
    run = simulated("slicenet", separable=separable, backward=True, batch=4)
    np.testing.assert_allclose(run.second_moment.theory, 1.0, rtol=1e-12)
    np.testing.assert_allclose(run.gradient.theory, 1.0, rtol=1e-12)
    # Expectations of E z² hold at any width.
    assert agrees(run.second_moment, [1, 2, 3, 4])


def test_slicenet_depthwise_units_have_heavy_tails():
    run = simulated("slicenet")
    assert run.layers[1].kind == "depthwise_conv"
    # Of Gaussian units of variance a = |w|², with 9 terms: 3 E a²/(E a)². Estimates from 64
    # channels are off by less than a part of 1/64.
    kurtosis = 3 * (1 + 2 / 9)
    off = abs(run.kurtosis.estimate[1] - kurtosis)
    assert run.kurtosis.theory[1] == pytest.approx(kurtosis, rel=1e-12)
    assert np.isfinite(run.kurtosis.theory).all()
    assert off < BEYOND * run.kurtosis.stderr[1] + kurtosis / 64


def test_slicenet_has_a_limit_of_infinite_width():
    """Many channels, each with a kernel of 9: the kurtosis is the same."""
    run = propagate("slicenet", trials=8, infinite_width=512)
    kurtosis = 3 * (1 + 2 / 9)
    off = abs(run.kurtosis.estimate[1] - kurtosis)
    assert off < BEYOND * run.kurtosis.stderr[1] + kurtosis / 512
    with pytest.raises(LayerError, match=r"64 channels of the input, .* try 128"):
        propagate("slicenet", infinite_width=100)


def test_acgan_shows_small_weights_in_its_pixels_only():
    runs = [simulated("acgan", width=16, batch=8, small=small) for small in (0, 1)]
    number, width = numbers(runs[0]), 16
    for run, variance in zip(runs, (1 / 144, 0.02**2), strict=True):
        # All of 22 × 22 positions put 4 × 4 taps on 46 × 46. Units after batch norm are as likely
        # to have the other sign, so E relu² = 1/2, but for ε over their variance.
        pixels = 22**2 * 16 / 46**2 * width * variance / 2
        off = abs(run.second_moment.estimate[number["body.pixels"]] - pixels)
        assert off < BEYOND * run.second_moment.stderr[number["body.pixels"]] + 1e-3 * pixels
    # Both draw the same numbers, times a factor that batch norm takes away, but for ε of 1e-5 over
    # variances of 0.02 and more.
    own, other = (run.second_moment.estimate[number["body.relu3"]] for run in runs)
    assert own == pytest.approx(other, rel=3 * 1e-5 / 0.02)


def test_acgan_critic_gets_its_signal_back():
    runs = [simulated("acgan_critic", width=16, batch=8, small=small) for small in (0, 1)]
    number, width, keep = numbers(runs[0]), 16, 0.5
    square = (1 + 0.2**2) / 2  # E leaky_relu(z)² over E z²
    for run, first, last in zip(
        runs, (1 / 81, 0.02**2), (1 / (3 * 64 * width), 0.02**2), strict=True
    ):
        # Two taps instead of three at the first of 16 positions, along both axes.
        leaky = 27 * first * (47 / 48) ** 2 * square
        assert run.second_moment.theory[number["body.leaky1"]] == pytest.approx(leaky, rel=1e-12)
        # 4 × 4 positions of 4 · width channels.
        head = 64 * width * last * square / keep
        off = abs(run.second_moment.estimate[number["head"]] - head)
        assert off < BEYOND * run.second_moment.stderr[number["head"]] + 1e-3 * head
    ratio = np.divide(*(run.second_moment.theory for run in runs))
    assert ratio[number["body.drop1"]] == pytest.approx(31, abs=0.2)
    # The same numbers again, times a factor: ε is 2 % of the second layer's variance, and 1e-4 of
    # the third one's.
    own, other = (run.second_moment.estimate for run in runs)
    for name, allowed in (("body.norm2", 0.02), ("body.drop3", 1e-3)):
        assert own[number[name]] == pytest.approx(other[number[name]], rel=allowed)
