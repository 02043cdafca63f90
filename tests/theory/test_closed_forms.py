"""Theory in cases that are known in closed form or by enumeration, most of it to first order."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.special import digamma
from scipy.stats import chi2

from snstat.activation import resolve
from snstat.experiment.inputs import DrawnInputs
from snstat.gaussian.by_q import by_q, derivatives
from snstat.layers.initialisers import EXCESS, TRUNCATED_STD
from snstat.network.stack import Stack
from snstat.results import InputMoments, NormClasses
from snstat.theory.classes import ClassStates, pooled
from snstat.theory.dead_fluctuations import _input_moments
from snstat.theory.dead_fluctuations import _shape as _fourth
from snstat.theory.ensemble import find_ensemble
from snstat.theory.finite_width import finite_width
from snstat.theory.finite_width_classes import of_classes
from snstat.theory.finite_width_gradient import _alignment, _Way
from snstat.theory.fluctuations import follow, input_spread
from snstat.theory.gram import _roughness, _shape
from snstat.theory.layer_moments import Moments
from snstat.theory.predict import predict

# Nodes and weights of expectations over standard normal values, exact for polynomials to 127.
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(64)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def theory(stack, batch, **options):
    moments = DrawnInputs("normal", stack.input_width, batch, 0.0, 1.0).moments()
    return finite_width(stack, batch, moments, predict(stack, batch, moments), **options)


def fluctuations(stack, batch):
    moments = DrawnInputs("normal", stack.input_width, batch, 0.0, 1.0).moments()
    prediction = predict(stack, batch, moments)
    known = Moments(stack, prediction, backward=False)
    return follow(stack, batch, moments, prediction, known)


def test_derivatives_with_respect_to_q_are_those_of_powers():
    """E x^2k over N(0, q) is proportional to q^k, of which the m-th derivative is known."""
    rows = by_q(NODES, WEIGHTS)
    for k in range(5):
        moment = math.prod(range(1, 2 * k, 2))
        expected = [moment * math.perm(k, m) for m in range(1, 5)]
        # Rounding of weighted sums of values up to 1e5.
        np.testing.assert_allclose(rows @ NODES ** (2 * k), expected, rtol=1e-9, atol=1e-9)


def test_fluctuations_of_linear_networks_with_biases():
    """Of a Gram matrix K, the next one is G² times a Wishart matrix over n, plus b²: the squares
    of two samples have variance 2q²/n and covariance 2k²/n given K."""
    width, inputs, gain, bias = 200, 50, 0.9, 0.7
    stack = Stack.build("identity", 5, width, weight_gain=gain, bias_std=bias, input_width=inputs)
    found = fluctuations(stack, 8)
    second, product, variance, covariance = 1.0, 0.0, 2.0 / inputs, 0.0
    for layer in range(1, 6):
        q, k = gain**2 * second + bias**2, gain**2 * product + bias**2
        variance, covariance = gain**4 * variance, gain**4 * covariance
        np.testing.assert_allclose(found.variance[layer], variance / q**2, rtol=1e-9)
        # Moments of pairs are interpolated to five digits.
        np.testing.assert_allclose(found.pair[layer], covariance / q**2, rtol=1e-4, atol=1e-12)
        variance, covariance = variance + 2.0 * q**2 / width, covariance + 2.0 * k**2 / width
        second, product = q, k


def test_the_variance_is_without_that_of_the_mean():
    """Of n independent units with covariance K of the samples, the mean has variance
    (q/B + (1 − 1/B) k)/n."""
    width, batch, bias = 10, 3, 0.8
    stack = Stack.build("identity", 1, width, bias_std=bias, input_width=5)
    found = theory(stack, batch)
    q, k = 1.0 + bias**2, bias**2
    mean_square = (q / batch + (1.0 - 1.0 / batch) * k) / width
    assert found.expected["variance"][1] == pytest.approx(q - mean_square, rel=1e-9)
    assert found.expected["variance_over_units"][1] == pytest.approx(q - q / width, rel=1e-9)


@pytest.mark.parametrize("init", ["lecun_uniform", "lecun_truncated"])
def test_the_fourth_cumulant_is_that_of_a_sum_over_the_inputs(init):
    """κ₄ of Σ w x is Σ κ₄(w) x⁴, and over 3q² that is excess/3 · E[x⁴]/E[x²]² / fan_in."""
    inputs, width = 7, 90
    stack = Stack.build("identity", 2, width, init=init, input_width=inputs)
    excess = EXCESS[stack.layer(1).distribution]
    shape = fluctuations(stack, 1).shape
    # Normal inputs, and the normal units of a linear layer, have E[x⁴] = 3 E[x²]².
    np.testing.assert_allclose(shape[1:], [excess / inputs, excess / width], rtol=1e-9)


@pytest.mark.parametrize("init", ["lecun_uniform", "lecun_truncated"])
def test_the_fourth_cumulants_of_sum_and_difference(init):
    layer = Stack.build("identity", 1, 90, init=init, input_width=7).layer(1)
    total, difference = np.random.default_rng(3).standard_normal((2, 7))
    a, g = total**2 / (total**2).mean(), difference**2 / (difference**2).mean()
    squares = tuple(float(np.mean(x)) for x in (a * a, a * g, g * g))
    shape = _shape(layer, 1.0, squares)
    excess = EXCESS[layer.distribution]
    # κ(p, p, e, e)/(P U) of p = Σ w s and e = Σ w d with independent weights of variance 1.
    joint = excess * (total**2 * difference**2).sum() / (total**2).sum() / (difference**2).sum()
    assert shape.mixed == pytest.approx(joint, rel=1e-12)
    for value, x in ((shape.first, total), (shape.second, difference)):
        fourth = excess * (x**4).sum() / (x**2).sum() ** 2
        assert value == pytest.approx(fourth / 3.0, rel=1e-12)


def weight_nodes(distribution):
    """Return nodes and weights of expectations over a weight of variance 1."""
    if distribution == "normal":
        return NODES, WEIGHTS
    nodes, weights = np.polynomial.legendre.leggauss(40)
    if distribution == "uniform":
        return math.sqrt(3.0) * nodes, weights / weights.sum()
    nodes = 2.0 * nodes
    weights = weights * np.exp(-0.5 * nodes**2)
    return nodes / TRUNCATED_STD, weights / weights.sum()


@pytest.mark.parametrize("init", ["lecun_normal", "lecun_uniform", "lecun_truncated"])
def test_the_alignment_of_weights_with_slopes(init):
    """E[w² φ'(z)²] of a weight w and z = (w + √(n − 1) ẑ)/√n exceeds E φ'(z)² by (A − 1)/n."""
    layer, inputs = Stack.build("tanh", 1, 8, init=init).layer(1), 4000

    def slope_square(x):
        return np.cosh(x) ** -4.0

    w, weight = weight_nodes(layer.distribution)
    z = (w[:, None] + math.sqrt(inputs - 1.0) * NODES) / math.sqrt(inputs)
    slopes = slope_square(z) @ WEIGHTS
    size = weight @ slopes
    exact = inputs * (weight @ (w * w * slopes) / size - 1.0)
    tilt = WEIGHTS @ (NODES**2 * slope_square(NODES)) / (WEIGHTS @ slope_square(NODES))
    # Of order 1/n relative.
    assert _alignment(_Way(tilt=tilt, own_tilt=tilt), layer) == pytest.approx(
        exact, rel=10 / inputs
    )


@pytest.mark.parametrize(("inputs", "width"), [(20, 60), (60, 20), (30, 30)])
def test_gradients_through_an_orthogonal_layer(inputs, width):
    """Of a random vector of n values, m coordinates in a random basis have a share of its square
    that follows the beta distribution of (m/2, (n − m)/2)."""
    stack = Stack.build("identity", 1, width, init="orthogonal", input_width=inputs)
    found = theory(stack, 1, backward=True)
    kept = min(inputs, width)
    exact = 0.0
    if inputs < width:
        exact = digamma(kept / 2) - digamma(width / 2)
    # Below the first order there are terms of 1/20² at most.
    assert abs(found.log_gradient[0] - exact) <= found.log_gradient_residual[0] + 1e-12
    assert found.log_gradient_residual[0] < 0.01
    # The second moment of normal inputs is that of independent normal values, as many as are kept.
    assert found.fluctuation[1] == pytest.approx(math.sqrt(2.0 / kept), rel=1e-9)


def test_what_is_neglected_covers_a_layer_of_two_units():
    """The pre-activations of a layer have q = χ²/inputs times a constant: the expectation is
    known. First order neglects that the variance of a mean of few units varies with q."""
    inputs, width = 50, 2
    found = theory(Stack.build("tanh", 1, width, input_width=inputs), 1)
    share = (np.arange(4000) + 0.5) / 4000
    q = chi2.ppf(share, inputs) / inputs
    squares = (np.tanh(np.sqrt(q)[:, None] * NODES) ** 2 @ WEIGHTS).mean()
    exact = (1.0 - 1.0 / width) * squares
    error = abs(found.expected["variance_over_units"][1] - exact)
    assert 1e-3 < error <= found.residual["variance_over_units"][1] < 0.05


def test_what_is_neglected_covers_the_kurtosis_of_few_values():
    """The kurtosis of n normal values is 3(n − 1)/(n + 1) on average."""
    width = 64
    found = theory(Stack.build("identity", 1, width, input_width=10**6), 1)
    error = abs(found.expected["kurtosis"][1] - 3.0 * (width - 1) / (width + 1))
    assert 1e-3 < error <= found.residual["kurtosis"][1] < 0.5


def test_identical_samples_stay_identical():
    source = DrawnInputs("normal", 32, 4, 1.0, 0.0).moments()
    stack = Stack.build("tanh", 3, 32, bias_std=0.2)
    found = finite_width(stack, 4, source, predict(stack, 4, source))
    for name, value in (("cosine", 1.0), ("variance_over_batch", 0.0)):
        np.testing.assert_allclose(found.expected[name], value, atol=1e-12, err_msg=name)
        # Only the rounding of float32 is left, 2⁻⁴² per layer.
        assert (found.residual[name] <= 3.0 * 2.0**-42).all()


@pytest.mark.parametrize(("law", "mean", "std"), [
    ("normal", 0.6, 1.4), ("uniform", -0.6, 0.5), ("normal", 1.5, 0.0), ("normal", 0.0, 0.0),
])  # fmt: skip
def test_the_powers_of_drawn_inputs(law, mean, std):
    nodes, weights = weight_nodes(law)
    x = mean + std * nodes
    size = math.sqrt(weights @ x**2) or 1.0
    found = _input_moments(DrawnInputs(law, 8, 4, mean, std).moments())
    expected = [weights @ (x / size) ** k for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("law", "mean", "std"), [
    ("normal", 0.6, 1.4), ("uniform", -0.6, 0.5), ("normal", 1.5, 0.0), ("uniform", 0.0, 2.0),
])  # fmt: skip
def test_the_mean_of_drawn_inputs_fluctuates_with_their_squares(law, mean, std):
    """The mean x and x² over n units have the covariances of x and x² over n."""
    nodes, weights = weight_nodes(law)
    x = mean + std * nodes
    x /= math.sqrt(weights @ x**2)
    found = input_spread(8, DrawnInputs(law, 8, 4, mean, std).moments())
    own = found.average
    assert own.third == pytest.approx(weights @ x**3, rel=1e-12, abs=1e-12)
    moved = x - weights @ x
    assert own.variance == pytest.approx(weights @ moved**2 / 8.0, rel=1e-12, abs=1e-15)
    assert own.covariance == pytest.approx(weights @ (moved * x**2) / 8.0, rel=1e-12, abs=1e-15)
    fourth = float(weights @ x**4)
    assert found.fourth == pytest.approx(fourth, rel=1e-12)
    assert found.variance == pytest.approx((fourth - 1.0) / 8.0, rel=1e-12, abs=1e-15)
    assert (own.shift, own.residual, own.pair, own.size) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("cosine", [-1.0, -0.5, 0.3])
def test_linear_layers_keep_every_cosine(cosine):
    moments = InputMoments(0.0, 1.0, 1.0, 0.5 * (1.0 - cosine), 1.0, cosine, 3.0, 0.0)
    found = predict(Stack.build("identity", 3, 64), 2, moments)
    np.testing.assert_allclose(found.statistics["cosine"], cosine, rtol=1e-12)
    np.testing.assert_allclose(found.misalignment[1:], 1.0 - cosine, rtol=1e-12)


def subsets(values, batch):
    return np.array([list(chosen) for chosen in combinations(values, batch)])


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
def test_the_variance_of_batches_of_classes(batch):
    """Means and variances of classes, drawn without replacement, by enumeration."""
    means, spreads = np.array([0.3, -1.0, 2.0]), np.array([0.5, 1.5, 0.2])
    count = np.array([2, 1, 2])
    column = np.zeros((1, 3))
    states = ClassStates(count / 5, column, means[None], spreads[None], *[column] * 3)
    found = pooled(states, 5, batch)
    chosen = subsets(np.repeat(np.arange(3), count), batch)
    within = spreads[chosen].mean(axis=1)
    expected = (within + means[chosen].var(axis=1)).mean()
    assert found["variance"][0] == pytest.approx(expected, rel=1e-12)
    assert found["variance_over_units"][0] == pytest.approx(within.mean(), rel=1e-12)


@pytest.mark.parametrize("batch", [2, 4, 5])
def test_the_choice_of_a_batch_varies_the_second_moment(batch):
    seconds, count = (1.0, 1.1, 1.3), (2, 2, 1)
    norms = NormClasses(seconds, count, ((0.0,) * 3,) * 3, 1.3)
    stack = Stack.build("identity", 2, 64, input_width=8)
    _, sampling, _ = of_classes(stack, batch, norms)
    means = subsets(np.repeat(seconds, count), batch).mean(axis=1)
    np.testing.assert_allclose(sampling[1:], means.std() / means.mean(), rtol=1e-9, atol=1e-9)


def test_a_batch_averages_as_well_as_fewer_samples_of_equal_norm():
    """Of independent relative fluctuations, weights w leave Σw²/(Σw)²."""
    norms = NormClasses((1.0, 4.0), (3, 1), ((0.0,) * 2,) * 2, 4.0)
    _, _, alike = of_classes(Stack.build("identity", 2, 64, input_width=8), 4, norms)
    np.testing.assert_allclose(alike[1:], 7.0**2 / (3 + 16.0), rtol=1e-9)


def test_the_fourth_cumulants_of_orthogonal_weights():
    """Coordinates of a vector uniform on a sphere of n dimensions have E[h_p² h_e²] = 1 − 2/n + …
    for orthogonal directions p and e; biases add to P alone."""
    layer = Stack.build("identity", 1, 90, init="orthogonal", input_width=40).layer(1)
    shape = _shape(layer, 0.6, (3.0, 1.0, 3.0))
    expected = np.array([0.6**2, 1.0, 0.6]) * -2.0 / 90
    np.testing.assert_allclose([shape.first, shape.second, shape.mixed], expected, rtol=1e-12)


def test_roughness_of_two_samples_is_that_of_one_direction():
    """A function of δP + δU alone, or of δX, is rough as a function of one number."""
    slopes = {1: 0.7, 2: -1.1, 3: 0.9, 4: 2.3}
    of_sum = {(i, k - i): slopes[k] for k in slopes for i in range(k + 1)}
    p, u = 0.3, 0.2
    length, size = p + u, math.hypot(p, u)
    expected = 0.25 * (1.1 * length**2 * size**2 + 0.9 * length**3 * size) + 2.3 * length**4 / 16
    assert _roughness(of_sum, (p, u, 0.0), signed=False) == pytest.approx(expected, rel=1e-12)
    assert _roughness(of_sum, (p, u, 0.0), signed=True) == pytest.approx(expected, rel=1e-12)
    one = derivatives(np.array([slopes[k] for k in (1, 2, 3, 4)]))
    alone = _roughness(of_sum, (p, 0.0, 0.0), signed=False)
    assert alone == pytest.approx(one.roughness * p**4, rel=1e-12)
    # ∂_X² is 4 ∂_P ∂_U.
    across = dict.fromkeys(of_sum, 0.0) | {(1, 1): 1.1 / 4.0, (2, 2): 2.3 / 16.0}
    x = 0.4
    expected = 0.25 * 1.1 * x**4 + 2.3 * x**4 / 16
    assert _roughness(across, (0.0, 0.0, x), signed=False) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("scale", [1.0, 0.9, 0.5])
def test_a_map_that_touches_its_diagonal_has_a_fixed_point_there(scale):
    """E[1/4 + x²/2 + x⁴/12] = q + (q − 1)²/4: of φ(x/s)·s the map touches at q = s²."""

    def function(x):
        return np.sqrt(0.25 + x**2 / 2.0 + x**4 / 12.0)

    def derivative(x):
        return (x + x**3 / 3.0) / (2.0 * function(x))

    pair = (lambda x: scale * function(x / scale)), (lambda x: derivative(x / scale))
    (point,) = find_ensemble(resolve(pair), 1.0, 0.0, pairs=False).fixed_points
    # Rounding of 1e-15 leaves the place of a double root unknown by the root of that.
    assert point.second_moment == pytest.approx(scale**2, rel=1e-7)


def test_a_fixed_point_that_signals_of_one_side_leave_is_not_stable():
    """E[x⁴ exp(−x²/3)] = 3q²/(1 + 2q/3)^5/2, relative to q, is largest at q = 1: with a gain at
    which it touches q there, smaller signals vanish."""

    def function(x):
        return x**2 * np.exp(-(x**2) / 6.0)

    def derivative(x):
        return (2.0 * x - x**3 / 3.0) * np.exp(-(x**2) / 6.0)

    gain = math.sqrt((5.0 / 3.0) ** 2.5 / 3.0)
    found = find_ensemble(resolve((function, derivative)), gain, 0.0, pairs=False).fixed_points
    assert [gain**2 * point.second_moment for point in found] == pytest.approx([0.0, 1.0])
    assert [point.stable for point in found] == [True, False]


@pytest.mark.parametrize("steps", range(-12, 13))
def test_rounding_of_a_map_that_hardly_moves_is_no_fixed_point(steps):
    """ReLU multiplies q by G²/2: all are fixed, or only 0, also where rounding hides the motion of
    some of them."""
    gain = math.sqrt(2.0 * (1.0 + 2.5e-15 * steps))
    found = find_ensemble(resolve("relu"), gain, 0.0, pairs=False)
    assert len(found.fixed_points) == 1


def test_uniform_biases_have_the_fourth_cumulant_of_a_uniform_value():
    """E[b⁴] − 3 E[b²]² of −a..a is a⁴/5 − 3 (a²/3)²; Gaussian weights have none."""
    layer = Stack.build("relu", 1, 90, bias_std=0.5).layer(1)
    layer = replace(layer, bias_distribution="uniform")
    a = 0.5 * math.sqrt(3.0)
    q, cumulant = 1.0, a**4 / 5.0 - a**4 / 3.0
    share = 1.0 - 0.25 / q
    np.testing.assert_allclose(_fourth(layer, share, 0.3, np.ones(5)), cumulant, rtol=1e-12)
    for orthogonal in (False, True):
        kind = "orthogonal" if orthogonal else layer.distribution
        made = replace(layer, distribution=kind)
        without = replace(made, bias_std=0.0)
        with_, alone = (_shape(own, share, (3.0, 1.0, 3.0)) for own in (made, without))
        assert with_.first - alone.first == pytest.approx(cumulant / 3.0, rel=1e-12)
        assert (with_.second, with_.mixed) == (alone.second, alone.mixed)
