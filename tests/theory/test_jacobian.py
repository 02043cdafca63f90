"""Theory of singular values: closed forms of random matrix theory, and products of matrices that
numpy draws and decomposes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.activation import resolve
from snstat.experiment.inputs import DrawnInputs
from snstat.network.network import Network
from snstat.network.stack import Stack
from snstat.results import SpectrumTheory
from snstat.theory import spectrum
from snstat.theory.jacobian import Factor, Slopes, factors, moments, rank, shown
from snstat.theory.jacobian_density import grouped, log_density, log_largest
from snstat.theory.predict import predict
from snstat.theory.spectrum import integral, network_theory, stack_theory

UNITS, DRAWS = 300, 10


def inputs_of(width, **others):
    return DrawnInputs("normal", width, 1, others.get("mean", 0.0), others.get("std", 1.0))


def at_the_end(near_zero=0.1, **options):
    """Return theory of the last layer of a stack, and the stack."""
    options = {} | options if "widths" in options else {"width": UNITS} | options
    stack = Stack.build(**options)
    inputs = inputs_of(stack.width_of(0))
    (found,) = stack_theory(stack, inputs.moments(), (stack.depth,), near_zero)
    return found, stack


def drawn(stack, seed=0):
    """Return singular values of products D W of independent D and W, (draws, values)."""
    random = np.random.default_rng(seed)
    q = predict(stack, 1, inputs_of(stack.width_of(0)).moments()).pre_second_moment
    found = []
    for _ in range(DRAWS):
        product = np.eye(stack.width_of(0))
        for number in range(1, stack.depth + 1):
            layer = stack.layer(number)
            shape = layer.fan_out, layer.fan_in
            matrix = random.normal(size=shape)
            if layer.orthogonal:
                u, _, v = np.linalg.svd(matrix, full_matrices=False)
                matrix = u @ v
                size = math.sqrt(layer.square_gain * layer.fan_out)
                matrix *= size / np.linalg.norm(matrix)
            else:
                matrix *= math.sqrt(layer.square_gain / layer.fan_in)
            z = random.normal(size=layer.fan_out) * math.sqrt(q[number])
            product = resolve(layer.activation).derivative(z)[:, None] * (matrix @ product)
        found.append(np.linalg.svd(product, compute_uv=False))
    return np.array(found)


@pytest.mark.parametrize("depth", [1, 2, 5, 30])
def test_a_product_of_gaussian_matrices_has_the_moments_and_the_edge_of_fuss_and_catalan(depth):
    """Moments of JJᵀ are the Fuss–Catalan numbers: 1 and 1 + depth; the edge of σ² is
    (depth + 1)^(depth + 1)/depth^depth (Penson and Życzkowski, arXiv:1103.3453)."""
    found, _ = at_the_end(activation="identity", depth=depth)
    assert found.mean_square == pytest.approx(1.0, rel=1e-12)
    assert found.relative_variance == pytest.approx(depth, rel=1e-12)
    edge = math.exp(0.5 * ((depth + 1) * math.log(depth + 1) - depth * math.log(depth)))
    assert found.largest == pytest.approx(edge, rel=1e-9)
    assert found.zero == 0.0


def test_the_density_of_one_gaussian_matrix_is_the_quarter_circle():
    """√(4 − σ²)/π, so σ√(4 − σ²)/π of ln σ. Smoothing rounds off the edge at 2 within 0.01."""
    found, _ = at_the_end(activation="identity", depth=1, near_zero=0.1)
    sigma = np.exp(found.log_values)
    inside = sigma < 1.97
    expected = sigma * np.sqrt(np.maximum(4.0 - sigma**2, 0.0)) / math.pi
    np.testing.assert_allclose(found.density[inside], expected[inside], atol=3e-3)
    # ∫ over σ < 0.2, at most a tenth of the largest.
    share = (0.2 * math.sqrt(4.0 - 0.04) / 2.0 + 2.0 * math.asin(0.1)) / math.pi
    assert found.near_zero == pytest.approx(share, abs=2e-3)


def test_the_density_of_two_projections_is_that_of_an_arcsine():
    """ReLU after orthogonal matrices of gain 1: JJᵀ is a product of two free projections of trace
    ½, whose eigenvalues have an atom of ½ at 0 and density 1/(2π√(x(1 − x)))."""
    found, _ = at_the_end(activation="relu", init="orthogonal", weight_gain=1.0, depth=2)
    assert found.mean_square == pytest.approx(0.25, rel=1e-12)
    assert found.zero == pytest.approx(0.5, abs=1e-12)
    assert found.largest == pytest.approx(1.0, abs=1e-5)
    x = np.exp(2.0 * found.log_values)
    inside = x < 0.85
    expected = x / (math.pi * np.sqrt(x * np.abs(1.0 - x)))  # of ln σ: twice that of ln x
    np.testing.assert_allclose(found.density[inside], expected[inside], atol=3e-3)
    # ½ + arcsin(0.1)/π, as ∫ 1/(2π√(x(1 − x))) = arcsin(√x)/π.
    assert found.near_zero == pytest.approx(0.5 + math.asin(0.1) / math.pi, abs=2e-3)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "tanh", "depth": 5, "weight_gain": 1.5, "bias_std": 0.1},
        {"activation": "tanh", "depth": 8, "init": "orthogonal", "weight_gain": 1.05},
        {"activation": "relu", "depth": 4, "init": "he_normal"},
        {"activation": "leaky_relu:0.2", "depth": 6, "init": "orthogonal"},
        {"activation": "hard_tanh", "depth": 6, "init": "orthogonal"},
        {"activation": "sine:30", "depth": 3},
        {"activation": "gelu", "widths": "300,400*2,200,500"},
        {"activation": "gelu", "widths": "300,400*2,200,500", "init": "orthogonal"},
        {"activation": "relu", "widths": "400,600,400,300", "init": "orthogonal"},
        {"activation": "relu", "widths": "300,900,300", "last": "linear"},
    ],
    ids=lambda options: ", ".join(map(str, options.values())),
)
def test_theory_is_what_products_of_drawn_matrices_tend_to(options):
    """The mean of d = φ'² over a layer of N units has the relative variance Var[d]/(E[d]² N), and
    ln of the mean square is about the sum of them and of 2/N of the weights; four standard errors
    of ten draws. Shares move with the scale by at most the density, 0.3 for ln σ."""
    found, stack = at_the_end(**options)
    values = drawn(stack)
    squares = values**2
    least = min(stack.width_of(number) for number in range(stack.depth + 1))
    q = predict(stack, 1, inputs_of(stack.width_of(0)).moments()).pre_second_moment
    own = factors(stack, q, stack.depth)
    noise = sum(layer.count * (layer.slopes.spread + 2.0) for layer in own) / least
    slack = 4.0 * math.sqrt(noise / DRAWS)
    assert found.mean_square == pytest.approx(squares.mean(), rel=slack)
    spread = float((squares.var(axis=1) / squares.mean(axis=1) ** 2).mean())
    assert found.relative_variance == pytest.approx(spread, rel=slack)
    near = np.mean(values <= 0.1 * found.largest)
    ranks = 2.0 / math.sqrt(4.0 * least) if found.zero else 0.0
    assert found.near_zero == pytest.approx(near, abs=0.01 + 0.15 * slack + 0.5 * ranks)
    # The rank is the least of binomial numbers, whose standard deviation is at most √(N/4).
    exact = bool(resolve(stack.activation).flat) and found.zero > 0
    zero = np.mean([np.mean(row < 1e-12 * row[0]) for row in values])
    # Tiny ones of tanh are no zeros.
    assert not found.zero or found.zero == pytest.approx(zero, abs=ranks if exact else 1e-9)
    # The largest is 1.8 times its scale width^(−2/3) below the edge on average.
    low = 2.0 * least ** (-2.0 / 3.0) * (1.0 + stack.depth) ** 0.5
    assert found.largest * (1.0 - low - slack) < values[:, 0].mean() < found.largest * (1 + slack)
    if stack.activation == "hard_tanh":  # the largest has a probability of its own
        return
    # What is below the range of the density, and errors at edges.
    assert integral(found.density, found.log_values) + found.zero == pytest.approx(1.0, abs=0.012)
    second = integral(found.density * np.exp(2.0 * found.log_values), found.log_values)
    assert second == pytest.approx(found.mean_square, rel=0.03)


def test_orthogonal_matrices_without_an_activation_have_equal_singular_values():
    found, _ = at_the_end(activation="identity", init="orthogonal", depth=9, weight_gain=0.9)
    assert found.mean_square == pytest.approx(0.9**18, rel=1e-12)
    assert found.largest == pytest.approx(0.9**9, rel=1e-5)
    assert (found.near_zero, found.zero) == (0.0, 0.0)
    assert found.relative_variance == pytest.approx(0.0, abs=1e-12)
    assert found.density is None


def test_slopes_are_those_of_the_pre_activations():
    """Atoms of piecewise linear functions, and moments of tanh by Gauss–Hermite quadrature."""
    relu = Slopes.of(resolve("leaky_relu:0.5"), 3.0)
    np.testing.assert_allclose(relu.squares, [0.25, 1.0])
    np.testing.assert_allclose(relu.weights, [0.5, 0.5], rtol=1e-12)
    x, weights = np.polynomial.hermite_e.hermegauss(120)
    d = (1.0 - np.tanh(0.7 * x) ** 2) ** 2
    weights = weights / weights.sum()
    tanh = Slopes.of(resolve("tanh"), 0.49)
    assert tanh.mean == pytest.approx(weights @ d, rel=1e-9)
    assert tanh.spread == pytest.approx(weights @ d**2 / (weights @ d) ** 2 - 1.0, rel=1e-8)
    few = tanh.merged(50)
    assert few.squares.size <= 50
    assert few.mean == pytest.approx(tanh.mean, rel=1e-12)
    assert few.spread == pytest.approx(tanh.spread, rel=1e-3)
    # cos² of a sine of many periods has mean ½ and E[cos⁴] = ⅜.
    sine = Slopes.of(resolve("sine:30"), 1.0)
    assert sine.mean == pytest.approx(450.0, rel=1e-9)
    assert sine.spread == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "standard"),
    [
        # A slope at a kink is what backpropagation chooses.
        ({"activation": "relu"}, 0.0),
        ({"activation": "relu", "weight_gain": 0.0}, 1.0),
        # All slopes are 0.
        ({"activation": (np.ones_like, np.zeros_like)}, 1.0),
        # All weights are 0.
        ({"activation": "tanh", "weight_gain": 0.0}, 1.0),
        ({"activation": "tanh", "weight_gain": 0.0, "bias_std": 0.5}, 1.0),
    ],
)
def test_nothing_is_said_where_slopes_are_not_known(options, standard):
    stack = Stack.build(depth=2, width=8, **options)
    found = stack_theory(stack, inputs_of(8, std=standard).moments(), (1, 2), 0.1)
    assert [own.mean_square for own in found] == [None, None]


def test_slopes_without_a_bound_have_no_largest_value():
    found, _ = at_the_end(activation="relu_squared", depth=2)
    assert (found.largest, found.near_zero, found.density) == (None, None, None)
    assert found.mean_square > 0


def test_layers_that_are_nearly_alike_are_grouped_with_their_mean():
    stack = Stack.build("tanh", 64, width=100, init="orthogonal", weight_gain=1.05)
    q = predict(stack, 1, inputs_of(100).moments()).pre_second_moment
    layers = factors(stack, q, 64)
    few = grouped(layers)
    assert len(few) <= 8
    assert sum(own.count for own in few) == 64
    one, other = moments(layers), moments(few)
    assert other.log_mean == pytest.approx(one.log_mean, abs=1e-9)
    assert other.spread == pytest.approx(one.spread, rel=0.01)
    assert log_largest(few) == pytest.approx(log_largest(layers), abs=0.01)
    assert (rank(layers), shown(layers)) == (1.0, 1.0)
    assert log_density(few, log_largest(few)) is not None


def test_the_largest_value_of_many_layers_is_that_of_their_groups(monkeypatch):
    monkeypatch.setattr(spectrum, "_MOST_LAYERS", 12)
    for depth, of in ((12, list), (13, grouped)):
        found, stack = at_the_end(activation="tanh", depth=depth, weight_gain=1.5, width=50)
        q = predict(stack, 1, inputs_of(50).moments()).pre_second_moment
        layers = factors(stack, q, depth)
        assert len(layers) == depth
        assert log_largest(grouped(layers)) != log_largest(layers)
        assert found.largest == pytest.approx(math.exp(0.5 * log_largest(of(layers))), rel=1e-14)


def test_any_network_has_the_mean_square_of_its_last_layer():
    """The sum of an identity and a dense layer: E[tr JJᵀ]/n = 1 + ¼."""
    form = {
        "input": {"channels": 6},
        "layers": [{"kind": "residual", "scale": 0.5, "layers": [{"kind": "dense", "width": 6}]}],
    }
    network = Network.read(form)
    inner, last = network_theory(network, inputs_of(6).moments(), (1, 2), train=True)
    assert inner == SpectrumTheory()
    assert last.mean_square == pytest.approx(1.25, rel=1e-12)
    # Of a layer with twice as many units as the input, every second value is 0 and is left out.
    wide = Network.read({"input": {"channels": 6}, "layers": [{"kind": "dense", "width": 12}]})
    (found,) = network_theory(wide, inputs_of(6).moments(), (1,), train=True)
    of_stack, _ = at_the_end(widths="6,12", activation="identity")
    assert found.mean_square == pytest.approx(of_stack.mean_square, rel=1e-12)
    assert found.mean_square == pytest.approx(2.0, rel=1e-12)


def test_nothing_is_said_of_one_sample_behind_batch_norm():
    """One sample is its mean. Evaluated, batch norm keeps what it is fed, of variance 1."""
    layers = [
        {"kind": "dense", "width": 6},
        {"kind": "batch_norm", "epsilon": 0.0},
        {"kind": "dense", "width": 6, "activation": "tanh", "weight_gain": 1.5},
    ]
    network = Network.read({"input": {"channels": 6}, "layers": layers})
    one = inputs_of(6).moments()
    (found,) = network_theory(network, one, (3,), train=True, source=2)
    assert found == SpectrumTheory()
    (found,) = network_theory(network, one, (3,), train=False, source=2)
    stack, _ = at_the_end(activation="tanh", depth=1, width=6, weight_gain=1.5)
    assert found.mean_square == pytest.approx(stack.mean_square, rel=1e-9)


@pytest.mark.parametrize(("other", "groups"), [(0.0999, 1), (0.105, 2)])
def test_few_slopes_are_alike_relative_to_their_number(other, groups):
    """One slope of ten is not 0: a share that is off by a thousandth of it is alike."""

    def layer(share):
        slopes = Slopes(np.array([0.0, 1.0]), np.array([1.0 - share, share]))
        return Factor(slopes, 1.0, 1.0, 1.0, orthogonal=False)

    assert len(grouped([layer(0.1), layer(other)])) == groups
