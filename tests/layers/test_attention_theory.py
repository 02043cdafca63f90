"""Theory of attention, against wide networks, closed forms and its own limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import roots_genlaguerre

from snstat.gaussian.softmax import pair_moments, row_moments
from snstat.layers import attention_causal, attention_moments
from snstat.layers.attention import Attention
from snstat.layers.attention_moments import LARGEST_VARIANCE
from snstat.layers.dot_product_attention import DotProductAttention
from snstat.layers.law import GAUSSIAN, OTHER, ZERO
from snstat.layers.queries import Likeness, Reading, of_pair, of_row, parting
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from tests.layers.plain_draw import PlainDraw
from tests.layers.plain_theory import products, tends

BATCH, TOKENS, UNITS = 4, 4, 8
# E[x²] and E[x_u x_v] of one sample, and the same of two.
SELF, MEMORY = (1.2, 0.1, 0.4, 0.05), (1.1, 0.3, 0.5, 0.2)
GRADIENT = (1.0, 0.2, 0.5, 0.1)


@pytest.fixture(autouse=True)
def heads_that_are_few(monkeypatch):
    """Moments of the layer itself are exact however unevenly heads read. What follows then is not:
    see test_attention_spread.py."""
    for module in (attention_moments, attention_causal):
        monkeypatch.setattr(module, "MOST_SPREAD", math.inf)


def pairs(tokens, own, other):
    found = np.full((tokens, tokens), float(other))
    np.fill_diagonal(found, own)
    return found


def signal(width, tokens, moments, law=OTHER):
    q, p, x, y = moments
    same = pairs(tokens, q, p)
    gap = same - pairs(tokens, x, y)
    return Signal(Shape(width, (tokens,)), np.zeros(tokens), same, gap, law)


def values(random, width, tokens, moments, *, exact):
    """Return values (width, BATCH, tokens) of these moments: of their average over units, or with
    `exact` their inner products themselves."""
    q, p, x, y = moments
    between = pairs(tokens, x, y)
    within = pairs(tokens, q, p) - between
    gram = np.kron(np.eye(BATCH), within) + np.kron(np.ones((BATCH, BATCH)), between)
    z = random.normal(size=(width, len(gram)))
    if exact:
        z = np.linalg.qr(z)[0] * math.sqrt(width)
    return (z @ np.linalg.cholesky(gram).T).reshape(width, BATCH, tokens)


def averaged(square):
    """Return the mean of the diagonal, and of what is beside it."""
    own, count = np.trace(square), len(square)
    return own / count, (square.sum() - own) / (count * (count - 1))


def compared(keys, memory, gradient, comparisons):
    """Compare theory with networks of two widths: of values and of all gradients, one sample and
    two. Of tokens that are alike only averages; causally all of those that are known."""
    causal = keys.get("causal", False)

    def of(square):
        if square.ndim == 1:
            return square
        return square.ravel() if causal else averaged(square)

    def observed(width, seed):
        layer = Attention(heads=width // UNITS, **keys)
        shapes = [(width, TOKENS, SELF)]
        if memory:
            shapes.append((width // 2, 3, MEMORY))
        random = np.random.default_rng(seed)
        inputs = [values(random, *own, exact=True) for own in shapes]
        step = layer.moments([signal(*own) for own in shapes], BATCH)
        after, (q, p, x, y) = step.signal, gradient
        same, cross = pairs(TOKENS, q, p), pairs(TOKENS, x, y)
        if causal:
            same, cross = np.diag(same), np.diag(cross)
        theory = [after.same, after.same - after.gap]
        for back in step.pull(Slope(same, same - cross, 0.5)):
            scale = math.exp(back.log - 0.5)
            theory += [scale * back.same, scale * (back.same - back.gap)]
        rows = []
        for trial in range(300):
            draw = PlainDraw((seed, trial))
            found = layer.sample(inputs, draw)
            slope = values(draw.random, width, TOKENS, gradient, exact=False)
            row = [*products(found.values)]
            for back in found.pull(slope):
                row += products(back)
            rows.append(np.concatenate([np.ravel(of(part)) for part in row]))
        return np.array(rows), np.concatenate([np.ravel(of(part)) for part in theory])

    tends(observed, comparisons)


CASES = {
    "own read-out": ({"weight_gain": 1.3}, False, (1.0, 0.0, 0.0, 0.0)),
    "gradients that tokens share": ({"weight_gain": 1.3}, False, GRADIENT),
    "biases": ({"weight_gain": 1.2, "bias_std": 0.5}, False, GRADIENT),
    "dropout": ({"weight_gain": 1.2, "dropout": 0.4, "bias_std": 0.6}, False, GRADIENT),
    "memory": ({"weight_gain": 1.4, "bias_std": 0.3}, True, GRADIENT),
    "causal": ({"weight_gain": 1.3, "causal": True}, False, (1.0, 0.0, 0.5, 0.0)),
    "causal dropout": (
        {"weight_gain": 1.2, "causal": True, "dropout": 0.3, "bias_std": 0.3},
        False,
        (1.0, 0.0, 0.0, 0.0),
    ),
    "uniform": ({"init": "torch_default", "weight_gain": 1.2}, False, GRADIENT),
}
# Two numbers for one sample and for two, of values and gradients; causally those of all pairs.
COMPARISONS = 5 * 8 + 12 + 2 * (2 * TOKENS**2 + 2 * TOKENS**2)


@pytest.mark.parametrize("case", CASES)
def test_theory_is_what_wide_networks_tend_to(case):
    compared(*CASES[case], COMPARISONS)


def infinite(tokens, variance):
    return Reading((tokens,), 10**9, variance)


def test_many_units_are_scores_with_a_known_variance():
    """E r f(τr) is f(τ) there, and rows depend on the product of what queries and keys share."""
    row = of_row(infinite(5, 1.3))
    exact = row_moments(np.array([5.0]), 1.3)
    assert row.square == pytest.approx(exact.square, rel=1e-7)
    assert row.of_keys == pytest.approx(exact.slope, rel=1e-7)
    assert row.of_queries == pytest.approx(exact.slope, rel=1e-7)
    one, other = (
        of_pair(infinite(5, 1.3), Likeness(*own), slopes=True) for own in ((0.4, 0.9), (0.9, 0.4))
    )
    assert one.product == pytest.approx(other.product, rel=1e-6)
    # 0.4 and 0.9 of the slope of both.
    assert one.of_keys / 0.4 == pytest.approx(other.of_keys / 0.9, rel=1e-5)
    assert one.of_queries / 0.9 == pytest.approx(other.of_queries / 0.4, rel=1e-5)


@pytest.mark.parametrize("units", [1, 3, 16])
def test_few_units_are_averages_over_their_norm(units):
    """By Gauss–Laguerre quadrature of another order. One unit has norms far from 1."""
    x, weights = roots_genlaguerre(40, units / 2.0 - 1.0)
    r, weights = 2.0 * x / units, weights / weights.sum()
    rows = [row_moments(np.array([6.0]), 0.8 * own) for own in r]
    found = of_row(Reading((6,), units, 0.8))
    accuracy = 1e-5 if units == 1 else 1e-7
    square = weights @ [own.square[0] for own in rows]
    assert found.square[0] == pytest.approx(square, rel=accuracy)
    keys = weights @ [s * own.slope[0] for s, own in zip(r, rows, strict=True)]
    assert found.of_keys[0] == pytest.approx(keys, rel=accuracy)


@pytest.mark.parametrize("units", [2, 16])
@pytest.mark.parametrize("like", [(0.3, 1.0), (-0.2, 0.6), (0.9, 0.8)])
def test_gradients_of_two_rows_are_derivatives_of_their_product(units, like):
    """By central differences of what queries, and keys, have in common (Price 1958). Tolerance:
    that of quadrature over few nodes, which is not of keys for keys, and the second order."""
    reading, step, variance = Reading((1, 7), units, 0.7), 1e-3, 0.7
    found = of_pair(reading, Likeness(*like), slopes=True)
    for place, own in enumerate((found.of_queries, found.of_keys)):
        ends = []
        for sign in (1.0, -1.0):
            moved = list(like)
            moved[place] += sign * step
            ends.append(of_pair(reading, Likeness(*moved), slopes=False).product)
        numeric = (ends[0] - ends[1]) / (2.0 * step * variance)
        np.testing.assert_allclose(own, numeric, rtol=1e-3, atol=1e-7)


def test_two_rows_do_not_depend_on_their_order():
    """The factor of Wishart's distribution is not symmetric: the quadrature is accurate to this."""
    for units, accuracy in ((4, 3e-3), (8, 2e-4), (32, 1e-5)):
        reading = Reading((5,), units, 1.0)
        equal = of_pair(reading, Likeness(1.0 - 1e-12, 1.0), slopes=True)
        row = of_row(reading)
        for own, other in zip(equal, row[:3], strict=True):
            assert own == pytest.approx(other, rel=accuracy)


@pytest.mark.parametrize("far", [1e-3, 1e-8, 1e-14])
def test_samples_that_are_alike_keep_how_much_they_are_apart(far):
    """In proportion to what queries and keys are apart by."""
    reading, start = Reading((1, 5), 16, 1.0), Likeness(1.0, 1.0)
    slopes = of_pair(reading, Likeness(1.0, 1.0), slopes=True)
    found = parting(reading, start, Likeness(2.0 * far, far))
    expected = far * (2.0 * slopes.of_queries + slopes.of_keys)
    np.testing.assert_allclose(found[1:], expected[1:], rtol=5.0 * max(far, 1e-4), atol=0.0)
    assert not parting(reading, start, Likeness(0.0, 0.0)).any()
    layer = Attention(heads=2)
    moments = (1.2, 0.1, 1.2, 0.1)
    before = signal(32, 5, moments)
    gap = pairs(5, far, 0.2 * far)
    after = layer.moments([before.become(before.mean, before.same, gap, OTHER)], 2).signal
    wider = layer.moments([before.become(before.mean, before.same, 1e-5 * gap, OTHER)], 2).signal
    np.testing.assert_allclose(wider.gap, 1e-5 * after.gap, rtol=max(20.0 * far, 1e-3))


def test_independent_tokens_are_averaged_away():
    """Without biases E[y_u y_v] is G⁴ E[x²]/T for tokens that are independent, if heads have many
    units, and samples that are independent stay so."""
    width, tokens = 2**18, 6
    layer = Attention(heads=1, weight_gain=1.2)
    after = layer.moments([signal(width, tokens, (1.5, 0.0, 0.0, 0.0))], 2).signal
    variance = 1.2**4 * 1.5**2
    square = row_moments(np.array([float(tokens)]), variance).square[0]
    assert after.same[0, 0] == pytest.approx(1.2**4 * 1.5 * square, rel=1e-4)
    assert after.same[0, 1] == pytest.approx(1.2**4 * 1.5 / tokens, rel=1e-4)
    np.testing.assert_array_equal(after.gap, after.same)
    assert after.law == GAUSSIAN


def test_causal_tokens_read_more_and_more():
    """The first one reads itself; of independent ones, gradients of what is read reach those before
    it."""
    layer = Attention(heads=4, causal=True)
    step = layer.moments([signal(64, 5, (1.5, 0.0, 0.0, 0.0))], 2)
    after = step.signal
    own = np.diagonal(after.same)
    assert own[0] == pytest.approx(1.5, rel=1e-12)
    assert np.all(np.diff(own) < 0.0)
    np.testing.assert_array_equal(np.diagonal(after.gap), own)
    # Tokens i and j have the first min(i, j) + 1 values in common.
    later = np.maximum.outer(*[np.arange(1.0, 6.0)] * 2)
    apart = ~np.eye(5, dtype=bool)
    many = Attention(heads=1, causal=True)
    wide = many.moments([signal(2**18, 5, (1.5, 0.0, 0.0, 0.0))], 2).signal
    np.testing.assert_allclose(wide.same[apart], (1.5 / later)[apart], rtol=1e-4)
    alone = Attention(heads=4).moments([signal(64, 3, (1.5, 0.0, 0.0, 0.0))], 2).signal
    assert own[2] == pytest.approx(alone.same[0, 0], rel=1e-6)
    # Those of read-outs that tokens share are not known.
    (lost,) = step.pull(Slope(np.ones((5, 5)), np.ones((5, 5))))
    assert np.isnan(lost.same).all()
    one = np.zeros(5)
    one[2] = 1.0
    (back,) = step.pull(Slope(one, one))
    assert np.all(np.diagonal(back.same)[:3] > 0.0)
    assert not back.same[3:].any()
    assert not back.same[:, 3:].any()


@pytest.mark.parametrize("causal", [False, True])
def test_one_token_is_a_dense_layer_after_another(causal):
    layer = Attention(heads=2, causal=causal, bias_std=0.5, weight_gain=1.5)
    one = np.ones((1, 1))
    before = Signal(Shape(16, (1,)), np.zeros(1), 2.0 * one, 0.5 * one, OTHER)
    step = layer.moments([before], 2)
    square = 2.25 * (2.25 * 2.0 + 0.25) + 0.25
    assert step.signal.same == pytest.approx(square * one, rel=1e-12)
    assert step.signal.gap == pytest.approx(2.25**2 * 0.5 * one, rel=1e-12)
    (back,) = step.pull(Slope(one, 0.25 * one))
    assert math.exp(back.log) * back.same == pytest.approx(2.25**2 * one, rel=1e-12)
    assert math.exp(back.log) * back.gap == pytest.approx(2.25**2 * 0.25 * one, rel=1e-12)


def test_what_is_not_known_is_null():
    """Tokens that are not alike, pairs that are not followed, and scores that are too large."""
    layer, known = Attention(heads=2), signal(16, 3, SELF)
    assert layer.moments([known], 2).signal.known
    for inputs in ([known.alone], [known, known.alone]):
        step = layer.moments(inputs, 2)
        assert not step.signal.known
        assert not step.signal.mean.any()  # that of W_o
        assert all(np.isnan(back.same).all() for back in step.pull(Slope(np.eye(3), np.eye(3))))
    for name in ("same", "gap"):
        for place in ((0, 0), (0, 1)):
            other = {"same": known.same.copy(), "gap": known.gap.copy()}
            other[name][place] += 0.01
            given = known.become(known.mean, other["same"], other["gap"], OTHER)
            assert not layer.moments([given], 2).signal.known
    gain = (LARGEST_VARIANCE / (1.2 * 1.1)) ** 0.25
    for causal in (False, True):
        for factor, found in ((0.999, True), (1.001, False)):
            own = Attention(heads=2, causal=causal, weight_gain=factor * gain)
            assert own.moments([known], 2).signal.known == found


def test_silence_stays():
    silent = signal(16, 3, (0.0, 0.0, 0.0, 0.0), ZERO)
    assert Attention(heads=2).moments([silent], 2).signal.law == ZERO
    assert Attention(heads=2, bias_std=0.1).moments([silent], 2).signal.law == GAUSSIAN


def test_a_memory_that_is_the_own_input_has_both_gradients():
    x = signal(32, 4, SELF)
    layer = Attention(heads=4)
    alone, both = layer.moments([x], 2), layer.moments([x, x], 2)
    np.testing.assert_array_equal(alone.signal.same, both.signal.same)
    one = pairs(4, *GRADIENT[:2])
    slope = Slope(one, one)
    (own,), parts = alone.pull(slope), both.pull(slope)
    total = parts[0] + parts[1]
    np.testing.assert_allclose(
        math.exp(own.log) * own.same, math.exp(total.log) * total.same, rtol=1e-12
    )


@pytest.mark.parametrize("keys", [{}, {"causal": True}, {"bias_std": 0.5}], ids=str)
def test_samples_that_are_equal_have_equal_gradients(keys):
    """What is known of two samples is then what is known of one, by other formulas; to the
    precision of averages over two queries."""
    x = signal(64, 5, (1.2, 0.2, 1.2, 0.2))
    layer = Attention(heads=2, weight_gain=1.1, **keys)
    step = layer.moments([x], 2)
    assert np.abs(step.signal.gap).max() < 1e-9
    one = np.ones(5) if keys.get("causal") else pairs(5, 1.0, 0.2)
    (back,) = step.pull(Slope(one, 0.0 * one))
    np.testing.assert_allclose(back.gap, np.zeros((5, 5)), atol=1e-5 * np.abs(back.same).max())


def test_gradients_of_many_units_are_sums_over_rows():
    """Of a memory, in loops over pairs of rows and of tokens, for one sample and for two.
    Tolerance: 2^18 units are not infinitely many."""
    width, read = 2**18, 3
    inputs = signal(width, TOKENS, SELF), signal(width, read, MEMORY)
    step = Attention(heads=1, weight_gain=1.0).moments(inputs, 2)
    same, cross = pairs(TOKENS, *GRADIENT[:2]), pairs(TOKENS, *GRADIENT[2:])
    back = step.pull(Slope(same, same - cross))
    q, p, x, y = SELF
    v, w = MEMORY[0] - MEMORY[1], MEMORY[2] - MEMORY[3]
    tokens, variance = np.array([float(read)]), q * v

    def row(cosine):
        own = pair_moments(tokens, (variance, variance), cosine * variance, slopes=True)
        return own.product[0], own.slope[0]

    def expected(gradient, queries, shared, rows):
        """Return E[δδ'] of x, and of the memory, from those of what is read, E[qq'] of the queries
        and what values and keys of two tokens share."""
        of_x, of_memory = np.zeros((TOKENS, TOKENS)), np.zeros((read, read))
        for i, j in np.ndindex(of_x.shape):
            product, slope = rows[i != j]
            of_x[i, j] = gradient[i, j] * shared * shared * slope
            for k, m in np.ndindex(of_memory.shape):
                there = read if k == m else read * (read - 1)
                weight = product if k == m else 1.0 - product
                turn = slope if k == m else -slope
                value = gradient[i, j] * weight / there
                key = gradient[i, j] * shared * queries[i, j] * turn / there
                of_memory[k, m] += value + key
        return of_x, of_memory

    one = expected(same, pairs(TOKENS, q, p), v, (row(1.0), row(p / q)))
    near, far = (row(own / q * w / v) for own in (x, y))
    two = expected(cross, pairs(TOKENS, x, y), w, (near, far))
    for own, first, second in zip(back, one, two, strict=True):
        scale = math.exp(own.log)
        np.testing.assert_allclose(scale * own.same, first, rtol=1e-3)
        np.testing.assert_allclose(scale * (own.same - own.gap), second, rtol=1e-3)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_last_token_reads_all_of_them(dropout):
    """What it alone pulls back is the same where tokens are read causally."""
    x, keys = signal(64, 5, SELF), {"dropout": dropout, "bias_std": 0.4}
    last = np.diag([0.0, 0.0, 0.0, 0.0, 1.0])
    every, causal = (
        Attention(heads=4, causal=own, **keys).moments([x], 2) for own in (False, True)
    )
    assert causal.signal.same[-1, -1] == pytest.approx(every.signal.same[0, 0], rel=1e-9)
    assert causal.signal.gap[-1, -1] == pytest.approx(every.signal.gap[0, 0], rel=1e-6)
    (one,), (other,) = every.pull(Slope(last, 0.4 * last)), causal.pull(Slope(last, 0.4 * last))
    for name in ("same", "gap"):
        own, theirs = (math.exp(s.log) * getattr(s, name) for s in (one, other))
        np.testing.assert_allclose(own, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("silent", [0, 1, 2])
def test_what_heads_read_is_silent_where_values_are(silent):
    """Of queries or keys that are, all tokens are read alike."""
    inputs = [signal(16, 3, SELF, GAUSSIAN) for _ in range(3)]
    inputs[silent] = signal(16, 3, (0.0, 0.0, 0.0, 0.0), ZERO)
    found = DotProductAttention(heads=2).moments(inputs, 2).signal
    assert (found.law == ZERO) == (silent == 2)
    assert bool(found.same.any()) == (silent != 2)
