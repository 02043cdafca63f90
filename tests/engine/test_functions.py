"""The kernels of activations and derivatives match their numpy form."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numba import config
from scipy.special import expit, ndtr

from snstat.activation import ACTIVATIONS, resolve
from snstat.engine.kernels import functions
from snstat.engine.kernels.codes import CUBIC, ROOT_8_PI, code_of
from snstat.engine.sampler import kernel_activation

WITH_PARAMETERS = (
    *("leaky_relu:0.2", "leaky_relu:-0.5", "elu:0.5", "silu:1.7", "softplus:3"),
    *("hard_tanh:2.5", "sine:30", "sine:0.3"),
)
CODES = {name: code_of(resolve(name)) for name in (*ACTIVATIONS, *WITH_PARAMETERS)}
POINTS = 301 if config.DISABLE_JIT else 40_001
EPS = float(np.finfo(np.float32).eps)
# Spacing of the subnormal float32 numbers.
SUBNORMAL = 2.0**-149


@pytest.mark.parametrize("file", ["functions_single.py", "functions_double.py"])
def test_every_activation_has_its_branch(file):
    """Values and slopes of one without a branch are those of the identity."""
    source = Path(functions.__file__).with_name(file).read_text("utf-8")
    others = ACTIVATIONS.keys() - {"identity"}
    missing = [name for name in others if source.count(f"KIND.{name.upper()}:") < 2]
    assert not missing, f"give {missing} values and slopes in snstat/engine/kernels/{file}"


def values():
    """Return float32 numbers: a dense range around 0, the ends of the tails, and all magnitudes."""
    magnitudes = np.geomspace(1e-45, 1e37, POINTS)
    tails = np.linspace(-110, 110, POINTS)
    x = np.concatenate([np.linspace(-16, 16, POINTS), tails, magnitudes, -magnitudes])
    return x.astype(np.float32).reshape(1, -1)


def silu_terms(x, growth=1.0):
    bounded = np.minimum(np.abs(x), 800.0)
    return expit(x) * (1 + bounded * growth * expit(-x))


def cubic(x):
    return ROOT_8_PI * np.clip(x, -60, 60) * (1 + CUBIC * np.minimum(x * x, 3600))


def normal_density(x):
    return np.exp(-0.5 * np.minimum(np.abs(x), 40.0) ** 2) / math.sqrt(2 * math.pi)


# The largest term of a sum whose terms cancel at a zero other than 0.
TERMS = {
    "gelu": lambda x: ndtr(x) + np.minimum(np.abs(x), 40.0) * normal_density(x),
    "silu": silu_terms,
    "silu:1.7": lambda x: silu_terms(1.7 * x),
    "mish": silu_terms,
    "gelu_tanh": lambda x: silu_terms(cubic(x), 1 + 3 * CUBIC * np.minimum(x * x, 3600)),
    "sine": np.ones_like,
    "sine:30": lambda x: np.full_like(x, 30.0),
    "sine:0.3": lambda x: np.full_like(x, 0.3),
}
# Each rounding is half an eps; polynomials and exp (2 eps) add a few more. gelu has exp, a
# polynomial of degree nine and a division.
ROUNDINGS = 6 * EPS


# A rounded product βx costs its size in units of the last place, up to 104, where exp(−|βx|) ends.
# The phase of the sine is kept in float64, accurate to 2^-52 of it.
RATES = {"silu:1.7": 1.7, "softplus:3": 3.0}


def sizes(name, size, x):
    if name.startswith("sine"):
        return 1.0 + resolve(name).parameters[0] * np.abs(x) * 2.0**-28
    rate = RATES.get(name, 0.0)
    return size * (1.0 + np.minimum(rate * np.abs(x), 104.0))


def assert_near(got, exact, size, x, *, cubic_growth=False):
    # Where exp(·) is subnormal its error is one or two spacings, times at most |x| < 104. For
    # gelu_tanh it grows by x·2y' < 104·(2 + 3·2.2).
    floor = 2 * SUBNORMAL * np.clip(np.abs(x), 1.0, 104.0) * (9.0 if cubic_growth else 1.0)
    excess = np.abs(got.astype(np.float64) - exact) - ROUNDINGS * size - floor
    worst = int(excess.argmax())
    assert excess.max() <= 0, (x.flat[worst], got.flat[worst], exact.flat[worst])


@pytest.mark.parametrize("name", CODES)
def test_float32_activations_are_accurate_including_the_tails(name):
    x = values()
    out = np.empty_like(x)
    with np.errstate(under="ignore", over="ignore"):
        functions.activate(CODES[name], x, out)
    wide = x.astype(np.float64)
    with np.errstate(over="ignore"):
        exact = resolve(name)(wide)
        # Values beyond the range of float32 are infinite.
        exact = exact.astype(np.float32).astype(np.float64) if name == "relu_squared" else exact
    finite = np.isfinite(exact)
    assert np.array_equal(np.isfinite(out), finite)
    size = sizes(name, np.abs(exact), wide)
    assert_near(out[finite], exact[finite], size[finite], wide[finite])


@pytest.mark.parametrize("name", CODES)
def test_float32_derivatives_are_accurate_including_the_tails(name):
    x = values()
    h = np.full_like(x, 2.0)
    with np.errstate(under="ignore"):
        functions.scale_by_derivative(CODES[name], x, h)
    wide = x.astype(np.float64)
    exact = resolve(name).derivative(wide)
    size = TERMS[name](wide) if name in TERMS else np.abs(exact)
    size = sizes(name, size, wide)
    if name.startswith("sine"):
        size *= resolve(name).parameters[0]
    assert_near(h / 2, exact, size, wide, cubic_growth=name == "gelu_tanh")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CODES)
def test_limits_are_reached_and_nan_is_kept(name, dtype):
    if name.startswith("sine"):
        pytest.skip("a sine has no limits")
    x = np.array([[math.inf, -math.inf, 1e30, -1e30, 0.0, -0.0, math.nan]], dtype)
    out, h = np.empty_like(x), np.ones_like(x)
    with np.errstate(under="ignore", over="ignore"):
        functions.activate(CODES[name], x, out)
        functions.scale_by_derivative(CODES[name], x, h)
    eps = float(np.finfo(dtype).eps)
    # A derivative may be too small for float32: softsign's at 1e30 is 1e-60.
    least = SUBNORMAL if dtype == "float32" and resolve(name).tail else 1e-300
    with np.errstate(invalid="ignore", over="ignore"):
        exact = resolve(name)(x).astype(dtype)
        slope = resolve(name).derivative(x.astype(np.float64))
    # A limit of 0 is reached where exp(·) underflows: at 800 for silu in float64, at 40 for gelu.
    np.testing.assert_allclose(out, exact, rtol=4 * eps, atol=1e-300)
    assert math.isnan(out[0, -1])
    # NaN has a derivative only where a comparison selects the branch.
    np.testing.assert_allclose(h, slope, rtol=4 * eps, atol=least)


@pytest.mark.parametrize("name", CODES)
def test_float64_kernels_match_their_numpy_form(name):
    x = np.concatenate([np.linspace(-12, 12, 97), [-800.0, 800.0, -50.0]]).reshape(-1, 4)
    out, h = np.empty_like(x), np.ones_like(x)
    functions.activate(CODES[name], x, out)
    functions.scale_by_derivative(CODES[name], x, h)
    # libm and numpy differ by a few ulps, and erfc of a rounded −x/√2 by x² times that. The
    # derivative of gelu is a sum that cancels down to 1e-16 of its terms.
    eps = float(np.finfo(np.float64).eps)
    np.testing.assert_allclose(out, resolve(name)(x), rtol=200 * eps, atol=1e-300)
    np.testing.assert_allclose(h, resolve(name).derivative(x), rtol=400 * eps, atol=1e-16)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (6, 1), (7, 3)])
def test_every_element_is_written_once(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for name, code in CODES.items():
        out, h = np.full_like(x, 9.0), np.full_like(x, 3.0)
        functions.activate(code, x, out)
        functions.scale_by_derivative(code, x, h)
        exact, slope = resolve(name)(x), resolve(name).derivative(x.astype(float))
        np.testing.assert_allclose(out, exact, rtol=ROUNDINGS, err_msg=name)
        np.testing.assert_allclose(h, 3 * slope, rtol=ROUNDINGS, atol=EPS, err_msg=name)


def test_functions_of_python_have_the_code_of_no_activation():
    codes = {kernel_activation(name).code.number for name in ACTIVATIONS}
    assert kernel_activation((np.tanh, np.cos)).code.number not in codes
