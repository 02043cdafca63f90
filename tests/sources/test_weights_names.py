"""Initialisers are named, and what none draws is not."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

import snstat
from snstat.sources.weights.laws import LAWS, kolmogorov
from tests.sources.initialisers import NAMES, drawn, orthogonal
from tests.sources.measure_names import KINDS, false, nameless, right

RNG = np.random.default_rng(3)


def names(values, **options):
    (tensor,) = snstat.weights({"w": values}, **options).tensors
    return [scheme.name for scheme in tensor.schemes]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(200, 300), (16, 24)])
def test_every_initialiser_is_named(name, shape):
    assert name in names(drawn(name, RNG, shape).astype(np.float32))


def test_large_matrices_have_the_names_that_coincide_only():
    values = drawn("lecun_normal", RNG, (300, 300)).astype(np.float32)
    assert set(names(values)) == {"lecun_normal", "glorot_normal"}
    values = drawn("torch_default", RNG, (400, 300)).astype(np.float32)
    assert names(values) == ["torch_default"]


@pytest.mark.parametrize("axis", [0, 1])
def test_slightly_uneven_rows_or_columns_have_no_name(axis):
    """Scales that vary by 12 % move the kurtosis by 5.5 of its standard errors, of which 7 pass,
    and the square sums of 200 values by 24 %, where chance moves them by 10 %."""
    values = drawn("lecun_normal", RNG, (120, 200) if axis == 0 else (200, 120))
    scale = np.where(np.arange(120) % 2, 1.12, 0.88)
    values *= scale[:, None] if axis == 0 else scale
    values *= math.sqrt(1 / values.shape[1] / np.mean(values**2))
    assert names(values) == []


def test_an_even_direction_that_training_added_leaves_no_name():
    """Signs add the same to all rows and columns, and the variance is that of the scheme: only the
    largest singular value tells, 1.6 times that of independent weights."""
    values = drawn("lecun_normal", RNG, (120, 200))
    signs = np.outer(RNG.choice([-1, 1], 120), RNG.choice([-1, 1], 200)) / math.sqrt(24_000)
    values += 1.6 * (1 + math.sqrt(120 / 200)) * signs
    values *= math.sqrt(1 / 200 / np.mean(values**2))
    assert names(values) == []


# A scheme is missed by chance once in 10⁴ matrices or less (thresholds of identify.py).
def test_random_shapes_are_named():
    assert right(2 * len(NAMES), most=300) == {}


def test_other_variances_have_no_name():
    """8 standard errors from all names, where 4 are accepted."""
    assert false(60, "other variance", most=300) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_no_initialiser_draws_has_no_name(kind):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        assert names(nameless(kind, rng, (120, 200)).astype(np.float32)) == []


@pytest.mark.parametrize("name", ["lecun_normal", "torch_default", "he_truncated", "orthogonal"])
@pytest.mark.parametrize("bits", [13, 16])
def test_short_types_are_named_too(name, bits):
    """float16 by numpy, and values of bfloat16 in float32, as files that were converted hold."""
    values = drawn(name, RNG, (200, 150)).astype(np.float32)
    short = values.astype(np.float16)
    if bits == 16:
        rounded = values.view(np.uint32) + np.uint32(0x8000)  # round half up
        short = (rounded & np.uint32(0xFFFF0000)).view(np.float32)
    assert name in names(short)


def test_a_draw_is_named_where_some_rows_are_dead_or_not_finite():
    values = drawn("torch_default", RNG, (60, 80))
    values[3], values[5, 7] = 0.0, np.nan
    assert names(values) == ["torch_default"]


def test_gains_of_orthogonal_matrices():
    assert names(orthogonal(RNG, (30, 40), 1.25)) == ["orthogonal(gain=1.25)"]
    assert names(orthogonal(RNG, (40, 30), 1.0)) == ["orthogonal"]
    assert "orthogonal" not in names(RNG.standard_normal((2, 2000)))


def test_z_is_in_standard_errors_of_the_variance():
    values = drawn("he_uniform", RNG, (60, 80))
    (tensor,) = snstat.weights({"w": values}).tensors
    found = {scheme.name: scheme.z for scheme in tensor.schemes}
    # The variance of x² of a uniform of variance 1 is 9/5 − 1.
    ratio = np.mean(values**2) / (2 / 80)
    assert found["he_uniform"] == pytest.approx(math.log(ratio) / math.sqrt(0.8 / 4800))


@pytest.mark.parametrize("name", LAWS)
def test_laws_have_their_moments(name):
    """Of densities, by quadrature."""
    law = LAWS[name]
    std = {"truncated_normal": mp.mpf("0.87962566103423978")}.get(name, mp.mpf(1))
    edge = {"normal": mp.inf, "uniform": mp.sqrt(3), "truncated_normal": 2 / std}[name]

    def density(x):
        if name == "uniform":
            return 1 / (2 * mp.sqrt(3))
        whole = mp.erf(mp.sqrt(2)) if name == "truncated_normal" else mp.mpf(1)
        return std * mp.npdf(x * std) / whole

    def moment(power):
        return float(2 * mp.quad(lambda x: x**power * density(x), [0, 1, edge]))

    found = [moment(power) for power in (0, 2, 4, 6, 8)]
    assert found == pytest.approx([1, 1, law.fourth, law.sixth, law.eighth], rel=1e-12)
    assert law.largest == float(edge)
    within = float(2 * mp.quad(density, [0, mp.mpf("0.7")]))
    assert law.within(np.array([0.7]))[0] == pytest.approx(within, rel=1e-12)


@pytest.mark.parametrize("name", LAWS)
def test_the_error_of_a_kurtosis_is_that_of_samples(name):
    law = LAWS[name]
    scheme = {"normal": "normal", "uniform": "uniform", "truncated_normal": "cut"}[name]
    from tests.sources import initialisers

    values = getattr(initialisers, scheme)(np.random.default_rng(0), (2000, 4000), 1.0)
    kurtosis = np.mean(values**4, axis=1) / np.mean(values**2, axis=1) ** 2
    # 2,000 samples give a standard deviation to 1/√4000, 1.6 %; four of these.
    assert np.std(kurtosis) * math.sqrt(4000) == pytest.approx(law.kurtosis_error, rel=0.064)


def test_the_distance_of_a_distribution_is_that_of_scipy():
    from scipy.stats import kstest, uniform

    sizes = np.sort(np.abs(RNG.uniform(-1.6, 1.6, 100)))
    exact = kstest(sizes, uniform(0, math.sqrt(3)).cdf).statistic
    assert kolmogorov(LAWS["uniform"], sizes) == pytest.approx(exact)
