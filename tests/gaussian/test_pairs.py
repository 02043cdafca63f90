"""Pair expectations match mpmath, closed forms and each other."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snstat.activation import ACTIVATIONS, ALPHA, LAMBDA, selu_with
from snstat.gaussian.pairs import half_linear_gaps, pair_gap, pair_slope
from tests.gaussian.pair_oracle import piecewise_gap, smooth_gap

DIGITS = 40


REFERENCE = json.loads(Path(__file__).with_name("pair_reference.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted({row[0] for row in REFERENCE}))
def test_gap_matches_mpmath(name):
    rows = [row for row in REFERENCE if row[0] == name]
    assert len(rows) >= 4
    for _, q, misalignment, gap in rows:
        # The error is relative at every misalignment: no cancellation down to 1 − c = 1e-12.
        assert pair_gap(ACTIVATIONS[name], q, misalignment) == pytest.approx(float(gap), rel=2e-13)


@pytest.mark.parametrize("misalignment", [1.2, 1.9, 1.999, 2.0])
def test_a_one_sided_kink_affects_opposed_samples_on_both_sides(misalignment):
    """ReLU6 has a kink at 6 only on one side; compare with a plain sum over z₁ and z₂."""
    q, step = 30.0, 0.01
    z = np.arange(-8.0 + step / 2, 8.0, step)
    weight = np.exp(-0.5 * z * z) / np.exp(-0.5 * z * z).sum()
    free = math.sqrt(misalignment * (2.0 - misalignment))
    first = math.sqrt(q) * z[:, None]
    second = math.sqrt(q) * ((1.0 - misalignment) * z[:, None] + free * z)
    entry = ACTIVATIONS["relu6"]
    gap = 0.5 * weight @ (entry(first) - entry(second)) ** 2 @ weight
    # The error of the midpoint rule is h²/24 times the jumps of slopes, each (√q·φ')².
    assert pair_gap(entry, q, misalignment) == pytest.approx(gap, abs=q * step**2 / 12.0)


def test_the_reference_file_matches_the_oracle():
    with mp.workdps(20):
        for oracle, case in ((piecewise_gap, ("elu", 1.0, 1.0)), (smooth_gap, ("tanh", 0.3, 0.4))):
            known = next(mp.mpf(row[3]) for row in REFERENCE if tuple(row[:3]) == case)
            assert abs(oracle(*case) - known) < mp.mpf("1e-15")


@pytest.mark.parametrize("misalignment", [1e-30, 1e-12, 1e-3, 0.5, 1.0, 1.9, 2.0])
def test_gap_of_relu_matches_the_arc_cosine_kernel(misalignment):
    with mp.workdps(DIGITS):
        angle = mp.acos(1 - mp.mpf(misalignment))
        kernel = (mp.sin(angle) + (mp.pi - angle) * mp.cos(angle)) / (2 * mp.pi)
        expected = float(3 * (mp.mpf(1) / 2 - kernel))
    assert pair_gap(ACTIVATIONS["relu"], 3.0, misalignment) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("q", [1e-200, 1e-6, 1.0, 1e6, 1e200])
@pytest.mark.parametrize("misalignment", [1e-30, 1e-9, 0.5, 1.0, 2.0])
def test_gap_of_erf_matches_the_arcsine_kernel(q, misalignment):
    with mp.workdps(450):
        scale = 2 * mp.mpf(q) / (1 + 2 * mp.mpf(q))
        kernel = mp.asin(scale * (1 - mp.mpf(misalignment)))
        expected = float(2 / mp.pi * (mp.asin(scale) - kernel))
    assert pair_gap(ACTIVATIONS["erf"], q, misalignment) == pytest.approx(expected, rel=1e-14)


@given(
    st.sampled_from(sorted(ACTIVATIONS)),
    st.floats(1e-3, 1e3),
    st.floats(1e-6, 1.95),
)
def test_slope_equals_the_derivative_of_the_gap(name, q, misalignment):
    entry, step = ACTIVATIONS[name], 1e-3 * min(misalignment, 2 - misalignment)
    shifts = ((2, -1), (1, 8), (-1, -8), (-2, 1))
    difference = sum(w * pair_gap(entry, q, misalignment + k * step) for k, w in shifts)
    # Five points: the relative error is (step/scale)⁴ = 1e-12 times constants, larger for kinks
    # near the end points, plus rounding 1e-14/1e-3.
    assert pair_slope(entry, q, misalignment) * q == pytest.approx(
        difference / (12 * step), rel=1e-8
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_both_methods_agree(name):
    # A copy under another name has no closed form and uses the conditional quadrature.
    entry = ACTIVATIONS[name]
    if entry.kinks or name in {"erf", "identity"}:
        copy = replace(entry, name="copy", form=None)
        for q in (0.05, 1.0, 300.0):
            for misalignment in (1e-8, 0.1, 1.0, 1.8, 2.0):
                # x = t + e rounds to 1e-16·x, compared with differences of √(1 − c) = 1e-4 of x.
                assert pair_gap(copy, q, misalignment) == pytest.approx(
                    pair_gap(entry, q, misalignment), rel=1e-11
                )
                assert pair_slope(copy, q, misalignment) == pytest.approx(
                    pair_slope(entry, q, misalignment), rel=1e-10, abs=1e-15
                )


@pytest.mark.parametrize("misalignment", [1e-12, 0.1, 1.0, 2.0])
def test_large_signals_of_clipped_activations_are_those_of_their_slopes(misalignment):
    """Hard swish is max(x, 0) for signals far beyond its kinks, up to bound/√q; hard sigmoid is a
    step at 0, whose gap is a share of the circle: θ/(2π)."""
    relu = pair_gap(ACTIVATIONS["relu"], 1e20, misalignment)
    assert pair_gap(ACTIVATIONS["hard_swish"], 1e20, misalignment) == pytest.approx(relu, rel=1e-8)
    # The kinks are apart by 1e-10 of √q, and the smallest angle is 1e-6 of it.
    angle = 2.0 * math.asin(math.sqrt(misalignment / 2.0))
    found = pair_gap(ACTIVATIONS["hard_sigmoid"], 1e20, misalignment)
    assert found == pytest.approx(angle / (2.0 * math.pi), rel=1e-3)


@pytest.mark.parametrize("name", ["relu", "identity", "leaky_relu"])
def test_gaps_of_many_pairs_at_once_are_those_of_each(name):
    entry = ACTIVATIONS[name]
    # Both sides of the angle from which θ − sin θ is computed directly: 1 − cos ½ = 0.12.
    apart = np.array([0.0, 1e-12, 1e-3, 0.12, 0.13, 1.0, 1.99, 2.0])
    single = [pair_gap(entry, 1.0, value) for value in apart.tolist()]
    assert half_linear_gaps(*entry.slopes, apart) == pytest.approx(single, rel=1e-13, abs=1e-300)


@pytest.mark.parametrize("name", ["tanh", "softplus", "gelu"])
def test_the_change_of_method_is_smooth(name):
    """The tensor rule ends and the conditional rule begins in this range of q."""
    entry = ACTIVATIONS[name]
    for misalignment in (1e-3, 0.7, 1.4):
        ratios = []
        for exponent in range(24):
            q = 10 ** (exponent / 6)
            ratios.append(math.log(pair_gap(entry, q, misalignment)))
        third = [
            ratios[i + 3] - 3 * ratios[i + 2] + 3 * ratios[i + 1] - ratios[i] for i in range(21)
        ]
        # The gap is smooth in log q: third differences at a step of 1/6 decade stay small. A method
        # with an error of 1% would give 0.03.
        assert max(map(abs, third)) < 0.02


def test_degenerate_pairs():
    for entry in ACTIVATIONS.values():
        assert pair_gap(entry, 0.0, 0.5) == 0.0
        assert pair_gap(entry, 2.0, 0.0) == 0.0


def test_huge_signals_follow_the_asymptotes():
    for name in ("selu", "gelu", "softplus"):
        entry = ACTIVATIONS[name]
        scale = entry.slopes[1] ** 2
        for misalignment in (1e-6, 0.5, 1.5):
            # The method changes at q = 1e24; deviations from ReLU are of order 1/√q = 1e-12.
            for q in (0.9e24, 1.1e24):
                expected = scale * pair_gap(ACTIVATIONS["relu"], q, misalignment)
                assert pair_gap(entry, q, misalignment) == pytest.approx(expected, rel=1e-9)
                assert pair_slope(entry, q, misalignment) == pytest.approx(
                    scale * pair_slope(ACTIVATIONS["relu"], q, misalignment), rel=1e-9
                )


def test_the_general_method_matches_selu():
    copy = selu_with(ALPHA, LAMBDA)
    assert pair_gap(copy, 1.0, 0.3) == pytest.approx(
        pair_gap(ACTIVATIONS["selu"], 1.0, 0.3), rel=1e-11
    )
