"""Expectations after batch norm, against closed forms and other integrals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import roots_chebyt, roots_gegenbauer

from snstat.activation import resolve
from snstat.gaussian import sphere
from snstat.gaussian.centred import centred_moments
from snstat.gaussian.sphere import pulled, radial, sphere_moments

FIELDS = ("mean", "square", "gap", "slope_square", "slope_product", "own", "other")


def numbers(name, *args):
    found = sphere_moments(resolve(name), *args)
    assert found is not None
    return np.array([getattr(found, field) for field in FIELDS])


def combined(batch, values, weights, inverse=None, kappa=1.0):
    """Return the same from expectations: `values` (7, points) with `weights` (points,)."""
    f, beside, slope, tilt, y, other = values
    inverse = weights / (batch - 3) if inverse is None else inverse
    own = (batch - 1) * slope**2 - kappa * slope**2 * y**2
    cross = (batch - 1) * slope * tilt * (1.0 + kappa * y * other)
    rows = (f, f * f, f * f - f * beside, slope**2, slope * tilt)
    return np.array([*(weights @ row for row in rows), inverse @ own, inverse @ cross])


@pytest.mark.parametrize("batch", [4, 5, 8, 64, 1000])
def test_relu_has_closed_forms(batch):
    """Products of degree 2 are those of Gaussians, the sign of one of them has probability ½."""
    rho = -1.0 / (batch - 1)
    angle = math.acos(rho)
    product = (math.sqrt(1.0 - rho * rho) + rho * (math.pi - angle)) / (2.0 * math.pi)
    both = (math.pi - angle) / (2.0 * math.pi)
    own = (batch - 1) / 2.0 - 0.5
    rest = (batch - 1) * (both + product)
    expected = [0.5, 0.5 - product, 0.5, both, own / (batch - 3), rest / (batch - 3)]
    assert numbers("relu", batch, 0.0)[1:] == pytest.approx(expected, rel=1e-10)


def test_identity_is_what_batch_norm_alone_does():
    for batch in (4, 7, 64):
        found = numbers("identity", batch, 0.0)
        gap = batch / (batch - 1)
        back = (batch - 2) / (batch - 3)
        assert found == pytest.approx([0.0, 1.0, gap, 1.0, 1.0, back, back], abs=1e-10)
        assert pulled(batch, 0.0) == back


def test_two_samples_are_plus_and_minus_one():
    up, down = math.tanh(1.0), 1.0 - math.tanh(1.0) ** 2
    found = numbers("tanh", 2, 0.0)
    assert found[:5] == pytest.approx([0.0, up**2, 2.0 * up**2, down**2, down**2], abs=1e-15)
    assert np.isinf(found[5:]).all()
    assert pulled(3, 0.0) == math.inf


@pytest.mark.parametrize("name", ["tanh", "gelu", "softplus"])
@pytest.mark.parametrize("scale", [0.01, 1.0, 3.0])
def test_two_samples_with_epsilon_are_a_single_integral(name, scale):
    """z − z' over √2 is one Gaussian: trapezoidal rule, which converges exponentially."""
    phi, ratio = resolve(name), 0.3 / scale
    z = np.arange(-9.0, 9.0, 0.005)
    weight = np.exp(-0.5 * z * z)
    weight /= weight.sum()
    total = z * z + 2.0 * ratio
    y, t = np.sign(z), np.abs(z) / np.sqrt(total)
    values = [f(scale * s * t * y) for f in (phi.function, phi.derivative) for s in (1.0, -1.0)]
    expected = combined(2, [*values, y, -y], weight, weight / total, 2.0 * t**2 - t**4)
    assert numbers(name, 2, ratio, scale) == pytest.approx(expected, rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "silu"])
@pytest.mark.parametrize("ratio", [1e-20, 1e-5, 0.1, 50.0])
def test_three_samples_are_integrals_over_a_plane(name, ratio):
    """The angle by the trapezoidal rule; the radius as exp(u) by the same."""
    phi = resolve(name)
    turn = np.arange(64) * (2.0 * math.pi / 64)
    u = np.arange(-45.0, 2.3, 0.02)
    r = np.exp(u)[:, None]
    weight = (r * r * np.exp(-0.5 * r * r) * np.ones(64)).ravel()
    weight /= weight.sum()
    total = (r * r + 3.0 * ratio) * np.ones(64)
    t = (r / np.sqrt(r * r + 3.0 * ratio) * np.ones(64)).ravel()
    y = np.tile(math.sqrt(2.0) * np.cos(turn), u.size)
    other = np.tile(math.sqrt(2.0) * np.cos(turn + 2.0 * math.pi / 3.0), u.size)
    values = [f(t * at) for f in (phi.function, phi.derivative) for at in (y, other)]
    inverse = weight / total.ravel()
    expected = combined(3, [*values, y, other], weight, inverse, 2.0 * t**2 - t**4)
    assert numbers(name, 3, ratio) == pytest.approx(expected, rel=1e-10, abs=1e-13)
    assert radial(3, ratio).square == pytest.approx(weight @ t**2, rel=1e-12)
    back = inverse @ (2.0 - 2.0 * t**2 + t**4)
    assert pulled(3, ratio) == pytest.approx(back, rel=1e-12)


@pytest.mark.parametrize("name", ["tanh", "gelu"])
@pytest.mark.parametrize("batch", [4, 6, 30])
def test_smooth_functions_agree_in_other_coordinates(name, batch):
    """The axis of the sphere is that of y_a + y_b; sin θ and sin ψ by Gauss quadrature."""
    phi, rho = resolve(name), -1.0 / (batch - 1)
    s, weight_s = roots_gegenbauer(160, (batch - 3) / 2.0)
    d, weight_d = roots_chebyt(160) if batch == 4 else roots_gegenbauer(160, (batch - 4) / 2.0)
    across = np.sqrt(1.0 - s * s)[:, None] * d
    up, side = math.sqrt(0.5 * (1.0 + rho)), math.sqrt(0.5 * (1.0 - rho))
    root = math.sqrt(batch - 1)
    y = (root * (up * s[:, None] + side * across)).ravel()
    other = (root * (up * s[:, None] - side * across)).ravel()
    weight = np.outer(weight_s / weight_s.sum(), weight_d / weight_d.sum()).ravel()
    values = [f(at) for f in (phi.function, phi.derivative) for at in (y, other)]
    expected = combined(batch, [*values, y, other], weight)
    assert numbers(name, batch, 0.0) == pytest.approx(expected, rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("factor", [0.4, 0.9, 3.0])
def test_kinks_off_zero_at_five_samples(factor):
    """Two coordinates of a point of the 3-sphere are uniform on a disc; one is integrated by hand,
    the other by scipy between the kinks."""
    scale, rho = 2.0 * factor, -0.25
    tilt = math.sqrt(1.0 - rho * rho)
    rim = math.asin(0.25)

    def clipped(x):
        return min(max(x, -1.0), 1.0)

    def integral(x):
        return 0.5 * x * x if abs(x) < 1 else abs(x) - 0.5

    def over(inner):
        def integrand(p):
            w = tilt * math.sqrt(max(1.0 - p * p, 0.0))
            low, high = scale * (rho * p - w), scale * (rho * p + w)
            return inner(p, low, high) / (scale * tilt * math.pi)

        kinks = [x for x in (-1.0 / scale, 1.0 / scale) if abs(x) < 1]
        reach = [
            math.sin(s * (math.acos(k)) + e * rim) for k in kinks for s in (-1, 1) for e in (-1, 1)
        ]
        edges = sorted({-1.0, 1.0, *kinks, *reach})
        # p = cos of an angle: smooth at the rim.
        parts = [
            quad(lambda a: integrand(math.cos(a)) * math.sin(a), *ends, epsabs=1e-13, limit=400)[0]
            for ends in zip(map(math.acos, edges[1:]), map(math.acos, edges[:-1]), strict=True)
        ]
        return sum(parts)

    square = over(lambda p, low, high: clipped(scale * p) ** 2 * (high - low))
    product = over(lambda p, low, high: clipped(scale * p) * (integral(high) - integral(low)))
    slope = over(lambda p, low, high: (abs(scale * p) < 1) * (high - low))
    both = over(lambda p, low, high: (abs(scale * p) < 1) * (clipped(high) - clipped(low)))
    expected = [square, square - product, slope, both]
    assert numbers("hard_tanh", 5, 0.0, factor)[1:5] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", ["tanh", "relu6", "selu", "softsign"])
def test_large_batches_are_gaussian(name):
    """All moments differ from Gaussian ones by a few of 1/B."""
    phi, batch = resolve(name), 10**6
    found, gaussian = numbers(name, batch, 0.0), centred_moments(phi, 1.0)
    assert found[0] == pytest.approx(gaussian.mean, abs=1e-5)
    assert found[1] == pytest.approx(gaussian.second_moment, rel=1e-5)
    assert found[3] == pytest.approx(gaussian.derivative_square, rel=1e-5)
    assert found[1] - found[2] == pytest.approx(gaussian.mean**2, abs=1e-5)
    assert found[5] == pytest.approx(gaussian.derivative_square, rel=1e-5)


def test_a_small_epsilon_is_close_to_none_at_all():
    for batch in (6, 64):
        with_it, without = numbers("selu", batch, 1e-9), numbers("selu", batch, 0.0)
        # To first order, by Bη E[1/r⁴].
        assert with_it == pytest.approx(without, rel=20.0 * batch * 1e-9)


@pytest.mark.parametrize(
    "args",
    [
        ("hard_tanh", 4, 0.7, 1.3),  # some radii do not reach its kinks
        ("elu", 60, 1e-3),
        ("tanh", 40, 1e-5),
        ("tanh", 80, 0.0),
        ("gelu", 6, 0.0, 10.0),
    ],
)
def test_finer_panels_and_no_interpolation_change_nothing(args, monkeypatch):
    found = numbers(*args)
    with monkeypatch.context() as finer:
        finer.setattr(sphere, "_PANELS", 17)
        finer.setattr(sphere, "_RADIAL_PANELS", 5)
        finer.setattr(sphere, "_NODES", (10**9, 10**9))
        sphere.sphere_moments.cache_clear()
        again = numbers(*args)
    sphere.sphere_moments.cache_clear()
    assert found == pytest.approx(again, rel=1e-10, abs=1e-15)


def test_what_is_not_known_is_none():
    assert sphere_moments(resolve("sine:30"), 64, 0.0) is None
    assert sphere_moments(resolve((np.tanh, lambda x: 1 - np.tanh(x) ** 2)), 8, 0.0) is None
