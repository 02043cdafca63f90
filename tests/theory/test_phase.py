"""`snstat.phase` beside `fixed_points`, quadrature, closed forms and a plain loop."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

import snstat
from snstat.activation import ACTIVATIONS, resolve
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.gaussian.log_tables import CELL, log_table
from snstat.theory import phase_pairs
from snstat.theory.ensemble import find_ensemble
from snstat.theory.phase_pairs import settled_correlations
from snstat.theory.settled import settle

PARAMETERS = ("sine:30", "elu:5", "silu:10", "softplus:0.1", "hard_tanh:5", "leaky_relu:-0.3")
# Relative agreement that is asked for, and what rounding of a slope of about 1 leaves of its
# logarithm: 1e-12 of the kernels of `fixed_points`.
RELATIVE, LOGARITHM = 1e-9, 2e-12


def close_scales(found: float, wanted: float | None) -> bool:
    """Whether two depth scales agree as far as the logarithms of slopes are known."""
    one, two = (0.0 if scale in (None, math.inf) else 1.0 / scale for scale in (found, wanted))
    return abs(one - two) <= RELATIVE * abs(two) + LOGARITHM


@pytest.mark.parametrize("name", [*ACTIVATIONS, *PARAMETERS])
def test_points_are_those_of_fixed_points(name: str) -> None:
    """At random gains and biases, b = 0 among them, and on a grid that has two points alone."""
    entry = resolve(name)
    rng = np.random.default_rng(len(name))
    scale = 1.0 if name != "sine:30" else 1.0 / 10.0
    gains = scale * rng.uniform(0.2, 3.0, 3)
    biases = np.array([0.0, *rng.uniform(0.0, 1.0, 2)])
    found = snstat.phase(name, weight_gain=gains, bias_std=biases)
    for i, j in np.ndindex(3, 3):
        search = find_ensemble(entry, float(gains[i]), float(biases[j]))
        q = found.pre_activation[i, j]
        near = [
            point
            for point in search.fixed_points
            if math.isclose(gains[i] ** 2 * point.second_moment + biases[j] ** 2, q, rel_tol=1e-9)
        ]
        if found.explodes[i, j]:
            assert search.at_infinity == "grows"
            assert math.isnan(found.depth_scale[i, j])
            continue
        (point,) = near
        assert point.stable
        assert found.second_moment[i, j] == pytest.approx(point.second_moment, rel=RELATIVE)
        assert found.gradient_growth[i, j] == pytest.approx(point.gradient_growth, rel=RELATIVE)
        assert found.slope[i, j] == pytest.approx(point.eigenvalues[0][0], rel=RELATIVE, abs=1e-15)
        if point.eigenvalues[0][0] > 1e-6:  # a sine's slope loses its digits below
            assert close_scales(found.depth_scale[i, j], point.depth_scale)
        if not point.correlations:
            assert math.isnan(found.correlation_depth_scale[i, j])
            continue
        settled = point.correlations[0]
        assert found.correlation[i, j] == pytest.approx(settled.value, abs=RELATIVE)
        assert close_scales(found.correlation_depth_scale[i, j], settled.depth_scale)


@pytest.mark.parametrize("name", ["tanh", "selu", "hard_tanh", "softsign", "erf", "relu6"])
def test_patches_of_correlations_are_what_single_points_are(name: str) -> None:
    """Enough points for patches; every seventh of them by itself."""
    ends = {"selu": (1.0, 1.3), "relu6": (1.3, 1.7)}.get(name, (1.6, 2.4))
    gains = np.linspace(*ends, 9)
    biases = np.linspace(0.0, 0.3, 7)
    found = snstat.phase(name, weight_gain=gains, bias_std=biases)
    i, j = np.nonzero(found.correlation < 1)
    assert i.size > 30
    for place in range(0, i.size, 7):
        g, b = float(gains[i[place]]), float(biases[j[place]])
        log_q = np.array([math.log(found.pre_activation[i[place], j[place]])])
        (one,), (log_slope,) = settled_correlations(
            resolve(name), log_q, np.array([g * g]), np.array([b * b])
        )
        assert found.correlation[i[place], j[place]] == pytest.approx(one, abs=1e-9)
        scale = found.correlation_depth_scale[i[place], j[place]]
        assert close_scales(scale, -1.0 / log_slope)


@pytest.mark.parametrize("name", ["tanh", "gelu", "selu", "relu6", "sigmoid"])
def test_points_solve_the_map_by_quadrature(name: str) -> None:
    """q' = q, χ and the slope by scipy's quadrature, which knows nothing of ours."""
    entry, (gain, bias) = resolve(name), (1.15, 0.3)

    def average(function: object, q: float) -> float:
        inner = {kink / math.sqrt(q) for kink in (0.0, *entry.kinks)}
        edges = [-12.0, *sorted(inner), 12.0]
        return sum(
            quad(
                lambda z: function(math.sqrt(q) * z) * math.exp(-z * z / 2),
                low, high, epsabs=1e-13, epsrel=1e-12, limit=200,
            )[0]
            for low, high in pairwise(edges)
        ) / math.sqrt(2 * math.pi)  # fmt: skip

    def image(q: float) -> float:
        return gain**2 * average(lambda x: float(entry.function(np.array(x))) ** 2, q) + bias**2

    found = snstat.phase(name, weight_gain=gain, bias_std=bias)
    q = float(found.pre_activation[0, 0])
    assert image(q) == pytest.approx(q, rel=1e-10)
    growth = gain**2 * average(lambda x: float(entry.derivative(np.array(x))) ** 2, q)
    assert found.gradient_growth[0, 0] == pytest.approx(growth, rel=1e-9)
    # Central difference: error h²/6 of the third derivative, and rounding/h.
    step = 1e-3 * q
    slope = (image(q + step) - image(q - step)) / (2 * step)
    assert found.slope[0, 0] == pytest.approx(slope, abs=1e-5)


def test_correlation_and_its_depth_scale_by_a_plain_rule() -> None:
    """Tanh by Gauss–Hermite quadrature in two dimensions, iterated from c = 0.2."""
    gain, bias = 2.0, 0.3
    found = snstat.phase("tanh", weight_gain=gain, bias_std=bias)
    z, weight = np.polynomial.hermite_e.hermegauss(120)
    weight = weight / weight.sum()
    q = 1.0
    for _ in range(200):
        q = gain**2 * float(weight @ np.tanh(math.sqrt(q) * z) ** 2) + bias**2
    c, step = 0.2, 0.0
    for _ in range(400):
        second = c * z[:, None] + math.sqrt(1 - c * c) * z
        both = np.tanh(math.sqrt(q) * z)[:, None] * np.tanh(math.sqrt(q) * second)
        c, step = (gain**2 * float(weight @ both @ weight) + bias**2) / q, c
    second = c * z[:, None] + math.sqrt(1 - c * c) * z
    slopes = np.cosh(math.sqrt(q) * z)[:, None] ** -2.0 * np.cosh(math.sqrt(q) * second) ** -2.0
    slope = gain**2 * float(weight @ slopes @ weight)
    assert c == pytest.approx(step, abs=1e-12)
    # The rule converges as exp(−π√(2·120)/2)-ish for poles at ±iπ/2: to about 1e-7 here.
    assert found.pre_activation[0, 0] == pytest.approx(q, rel=1e-6)
    assert found.correlation[0, 0] == pytest.approx(c, abs=1e-6)
    assert found.correlation_depth_scale[0, 0] == pytest.approx(-1 / math.log(slope), rel=1e-5)


def test_relu_is_known_in_closed_form_at_its_edge() -> None:
    edge = math.sqrt(2.0)
    found = snstat.phase("relu", weight_gain=[1.0, edge, 1.5], bias_std=[0.0, 0.5])
    assert found.pre_activation[:, 0].tolist() == [0.0, 1.0, math.inf]
    assert found.pre_activation[:, 1].tolist() == [0.5, math.inf, math.inf]
    assert found.gradient_growth[1, 0] == pytest.approx(1.0, abs=1e-15)
    assert found.depth_scale[1, 0] == math.inf
    assert found.correlation_depth_scale[1, 0] == math.inf
    assert found.vanishes.tolist() == [[True, False], [False, False], [False, False]]
    assert found.explodes.tolist() == [[False, False], [False, True], [True, True]]
    # Limits, where there is no fixed point.
    assert found.gradient_growth[2].tolist() == pytest.approx([1.125, 1.125])
    assert np.isnan(found.correlation[0, 0])
    assert found.depth_scale[0, 0] == pytest.approx(1 / math.log(2))


def test_where_two_fixed_points_meet_the_nearer_one_is_found() -> None:
    """Squared ReLU: q' = 1.5G²q² + b² has the lower root (1 − √(1 − 6G²b²))/(3G²), which a signal
    from q = 1 reaches only from below the upper root, and none where 6G²b² > 1."""
    gains = np.linspace(0.3, 0.81, 300)
    biases = np.linspace(0.3, 1.5, 301)
    found = snstat.phase("relu_squared", weight_gain=gains, bias_std=biases)
    alpha, beta = gains[:, None] ** 2, biases**2
    inside = 1 - 6 * alpha * beta
    root = np.sqrt(np.maximum(inside, 0.0))
    lower, upper = (1 - root) / (3 * alpha), (1 + root) / (3 * alpha)
    settles = (inside > 0) & (upper > 1)
    clear = np.abs(inside) > 1e-9
    assert (found.explodes == ~settles)[clear].all()
    known = settles & clear
    assert known.sum() > 10_000
    # At a double root, rounding of r moves the root by its square root.
    error = np.abs(found.pre_activation / lower - 1)[known]
    assert (error <= 1e-13 / np.sqrt(inside[known])).all()


@pytest.mark.parametrize("place", [0.6, 0.65, 0.7])
def test_where_two_fixed_points_meet_below_1_the_upper_one_is_found(place: float) -> None:
    """E[x⁴ exp(−x²/(3s))]/q = 3q/(1 + 2q/(3s))^5/2 is largest at q = s: a signal from 1 stays above
    that, if its gain is larger than one with which the map touches q there, and else vanishes."""

    def function(x: np.ndarray) -> np.ndarray:
        return x**2 * np.exp(-(x**2) / (6.0 * place))

    def derivative(x: np.ndarray) -> np.ndarray:
        return (2.0 * x - x**3 / (3.0 * place)) * np.exp(-(x**2) / (6.0 * place))

    def ratio(q: float) -> float:
        return 3.0 * q / (1.0 + 2.0 * q / (3.0 * place)) ** 2.5

    beyond = np.array([-1e-3, -1e-5, -1e-8, 1e-8, 1e-5, 1e-3])
    gains = np.sqrt((1.0 + beyond) / ratio(place))
    table = log_table(resolve((function, derivative)), -4.0, 2.0)
    found = settle(table, gains**2, np.zeros(1))
    assert found.finite.tolist() == (beyond > 0).tolist()
    q = np.exp(CELL * (table.first + found.cell + 0.5 + 0.5 * found.t))
    for gain, here, more in zip(gains[3:], q[3:], beyond[3:], strict=True):
        root = brentq(lambda x, g=gain: g * g * ratio(x) - 1.0, place, 1.0, xtol=1e-15)
        # Near a double root, rounding of r moves the root by its square root.
        assert here == pytest.approx(root, rel=1e-13 / math.sqrt(more))


def test_points_are_where_a_plain_loop_of_the_map_ends() -> None:
    """ReLU6 without biases: a cell of the table where q' = q to rounding is no fixed point."""
    gains = np.array([1.2, math.sqrt(2.0), 1.5, 2.0])
    found = snstat.phase("relu6", weight_gain=gains)
    mean, variance = np.zeros(4), 1.0 / gains**2
    for _ in range(400):
        mean, variance = snstat.ensemble_map("relu6", mean, variance, weight_gain=gains)
    q = gains**2 * (mean**2 + variance)
    # At √2, q = 1 vanishes more slowly than any power: nothing changes in 400 layers.
    assert found.pre_activation[:2, 0].tolist() == [0.0, 0.0]
    assert q[1] == pytest.approx(1.0, abs=1e-4)
    # At 1.2 by 0.72 per layer, and at 1.5 perturbations by 0.752.
    np.testing.assert_allclose(q[[0, 2, 3]], found.pre_activation[[0, 2, 3], 0], 1e-9, 1e-50)


def test_order_and_shape_of_the_grid_do_not_matter() -> None:
    gains, biases = np.array([2.5, 0.8, 1.7]), np.array([0.4, 0.0, 0.9, 0.1, 0.2])
    wide = snstat.phase("tanh", weight_gain=gains, bias_std=biases)
    assert wide.slope.shape == (3, 5)
    tall = [snstat.phase("tanh", weight_gain=gains, bias_std=bias) for bias in biases]
    for name in ("pre_activation", "gradient_growth", "depth_scale", "correlation_depth_scale"):
        joined = np.concatenate([getattr(part, name) for part in tall], axis=1)
        np.testing.assert_allclose(getattr(wide, name), joined, rtol=1e-9)


def test_extreme_values_are_finite_or_told() -> None:
    found = snstat.phase("tanh", weight_gain=[0.0, 1.0, 1e20], bias_std=[0.0, 1e-160, 1e20])
    assert not np.isnan(found.pre_activation).any()
    assert found.pre_activation[0].tolist() == pytest.approx([0.0, 0.0, 1e40])
    assert found.pre_activation[1, 0] == 0.0  # neutral: it vanishes more slowly than exponentially
    assert found.depth_scale[1, 0] == math.inf
    assert found.pre_activation[2, 2] == pytest.approx(2e40)


def test_a_map_that_falls_is_no_warning() -> None:
    """Where the slope of the correlation map is below 0, differences of two inputs are gone at
    once. Tests take warnings as errors."""
    gains = np.linspace(0.5, 3.0, 40)
    found = snstat.phase("sine:30", weight_gain=gains, bias_std=np.linspace(0.0, 1.0, 40))
    assert (found.depth_scale == 0.0).any()


def test_pairs_of_functions() -> None:
    """A Gaussian bump, whose map falls: E[φ²] = 1/√(1 + 4q)."""
    bump = (lambda x: np.exp(-x * x), lambda x: -2.0 * x * np.exp(-x * x))
    found = snstat.phase(bump, weight_gain=[0.5, 1.0], bias_std=[0.0, 0.5])
    q = found.pre_activation
    image = np.array([[0.5], [1.0]]) ** 2 / np.sqrt(1 + 4 * q) + np.array([0.0, 0.25])
    np.testing.assert_allclose(q, image, rtol=1e-12)
    assert (found.slope < 0).all()
    with pytest.raises(InvalidValueError, match="known to the theory"):
        snstat.phase((np.exp, np.exp), weight_gain=1.0)


@pytest.mark.parametrize(
    ("gain", "bias", "match"),
    [
        (-1.0, 0.0, "weight_gain is -1"),
        (1.0, -0.1, "bias_std is -0.1"),
        (1.0, math.nan, "bias_std is nan"),
        (math.inf, 0.0, "weight_gain is inf"),
        (1e101, 0.0, "at most|from 0 to"),
        ([[1.0]], 0.0, "one axis"),
        ([], 0.0, "at least one"),
        (np.ones(10**6), np.ones(10**6), "memory needed"),
    ],
)
def test_bad_values_are_refused(gain: object, bias: object, match: str) -> None:
    with pytest.raises(InvalidValueError, match=match):
        snstat.phase("tanh", weight_gain=gain, bias_std=bias)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="tanh"):
        snstat.phase("tahn", weight_gain=1.0)


@pytest.mark.parametrize("name", ["tanh", "relu6"])
def test_points_on_patches_are_not_solved_one_by_one(name: str, monkeypatch) -> None:
    """Which would take far longer. Angles are halved where they have to, and no more."""
    called = []
    monkeypatch.setattr(phase_pairs, "_FEW", 1)
    monkeypatch.setattr(phase_pairs, "_one_by_one", None)
    patch = phase_pairs._patch
    monkeypatch.setattr(phase_pairs, "_patch", lambda *key: called.append(key) or patch(*key))
    gains, biases = np.linspace(1.6, 2.4, 9), np.linspace(0.1, 0.3, 7)
    found = snstat.phase(name, weight_gain=gains, bias_std=biases)
    assert (found.correlation < 1).any()
    assert len({key[1] for key in called}) < len(called) < 60
