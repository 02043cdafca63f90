"""The activations and derivatives as kernels against their numpy form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import config
from scipy.special import expit, ndtr

from snstat.activation import ACTIVATIONS
from snstat.engine.kernels import functions

POINTS = 301 if config.DISABLE_JIT else 40_001
EPS = float(np.finfo(np.float32).eps)
# Spacing of the subnormal float32 numbers.
SUBNORMAL = 2.0**-149


def values():
    """Float32 numbers: the bulk densely, where the tails end, and all magnitudes."""
    magnitudes = np.geomspace(1e-45, 1e37, POINTS)
    tails = np.linspace(-110, 110, POINTS)
    x = np.concatenate([np.linspace(-16, 16, POINTS), tails, magnitudes, -magnitudes])
    return x.astype(np.float32).reshape(1, -1)


def normal_density(x):
    return np.exp(-0.5 * np.minimum(np.abs(x), 40.0) ** 2) / math.sqrt(2 * math.pi)


# The size of the largest term of a sum, where terms cancel at a zero that is not 0.
TERMS = {
    "gelu": lambda x: ndtr(x) + np.minimum(np.abs(x), 40.0) * normal_density(x),
    "silu": lambda x: expit(x) * (1 + np.minimum(np.abs(x), 800.0) * expit(-x)),
}
# Roundings of half an eps, of which errors of polynomials and of exp (2 eps) are a few more; gelu
# has exp, a polynomial of degree nine and a division.
ROUNDINGS = 6 * EPS


def assert_near(got, exact, size, x):
    # Where exp(·) has become subnormal its error is a spacing or two, times at most |x| < 104.
    floor = 2 * SUBNORMAL * np.clip(np.abs(x), 1.0, 104.0)
    excess = np.abs(got.astype(np.float64) - exact) - ROUNDINGS * size - floor
    worst = int(excess.argmax())
    assert excess.max() <= 0, (x.flat[worst], got.flat[worst], exact.flat[worst])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_float32_activations_are_near_the_exact_value_in_the_tails_too(name):
    x = values()
    out = np.empty_like(x)
    with np.errstate(under="ignore"):
        functions.activate(functions.CODES[name], x, out)
    exact = ACTIVATIONS[name](x)
    assert_near(out, exact, np.abs(exact), x.astype(np.float64))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_float32_derivatives_are_near_the_exact_value_in_the_tails_too(name):
    x = values()
    h = np.full_like(x, 2.0)
    with np.errstate(under="ignore"):
        functions.scale_by_derivative(functions.CODES[name], x, h)
    wide = x.astype(np.float64)
    exact = ACTIVATIONS[name].derivative(wide)
    size = TERMS[name](wide) if name in TERMS else np.abs(exact)
    assert_near(h / 2, exact, size, wide)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_limits_are_reached_and_nan_stays(name, dtype):
    x = np.array([[math.inf, -math.inf, 1e30, -1e30, 0.0, -0.0, math.nan]], dtype)
    out, h = np.empty_like(x), np.ones_like(x)
    with np.errstate(under="ignore", over="ignore"):
        functions.activate(functions.CODES[name], x, out)
        functions.scale_by_derivative(functions.CODES[name], x, h)
    eps = float(np.finfo(dtype).eps)
    with np.errstate(invalid="ignore"):
        exact = ACTIVATIONS[name](x).astype(dtype)
        slope = ACTIVATIONS[name].derivative(x.astype(np.float64))
    # A limit of 0 is left where exp(·) underflows: at 800 for silu in float64, at 40 for gelu.
    np.testing.assert_allclose(out, exact, rtol=4 * eps, atol=1e-300)
    assert math.isnan(out[0, -1])
    # NaN has a derivative only where a comparison decides it.
    np.testing.assert_allclose(h, slope, rtol=4 * eps, atol=1e-300)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_float64_kernels_equal_their_numpy_form(name):
    x = np.concatenate([np.linspace(-12, 12, 97), [-800.0, 800.0, -50.0]]).reshape(-1, 4)
    out, h = np.empty_like(x), np.ones_like(x)
    functions.activate(functions.CODES[name], x, out)
    functions.scale_by_derivative(functions.CODES[name], x, h)
    # libm and numpy differ by a few ulps, and erfc of a rounded −x/√2 by x² of them; the
    # derivative of gelu is a sum that cancels down to 1e-16 of its terms.
    eps = float(np.finfo(np.float64).eps)
    np.testing.assert_allclose(out, ACTIVATIONS[name](x), rtol=200 * eps, atol=1e-300)
    np.testing.assert_allclose(h, ACTIVATIONS[name].derivative(x), rtol=400 * eps, atol=1e-16)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (6, 1), (7, 3)])
def test_every_element_is_written_once(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for name, code in functions.CODES.items():
        out, h = np.full_like(x, 9.0), np.full_like(x, 3.0)
        functions.activate(code, x, out)
        functions.scale_by_derivative(code, x, h)
        exact, slope = ACTIVATIONS[name](x), ACTIVATIONS[name].derivative(x.astype(float))
        np.testing.assert_allclose(out, exact, rtol=ROUNDINGS, err_msg=name)
        np.testing.assert_allclose(h, 3 * slope, rtol=ROUNDINGS, atol=EPS, err_msg=name)
