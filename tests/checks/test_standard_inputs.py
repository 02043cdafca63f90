"""Standardized data as a remedy: their moments, without the data."""

from __future__ import annotations

import numpy as np
import pytest

from snstat import check
from snstat.checks.bounds import Bounds
from snstat.checks.remedies import _standardized, standard
from snstat.checks.stack_case import StackCase
from snstat.experiment.data import DataInputs
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack


def test_standardized_data_of_a_saved_run_have_the_cosine_of_their_centred_samples():
    random = np.random.default_rng(3)
    directions = random.normal(size=(4, 12)) + 2.0 * random.normal(size=12)
    directions -= directions.mean(axis=1, keepdims=True)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rows = 0.7 + 30.0 * directions  # of equal norm, before and after
    inputs = DataInputs("rows", rows, 4).moments()
    found = _standardized(StackCase(Stack.build("relu", 4, 12), 4, inputs, Bounds()))
    products = directions @ directions.T
    cosine = products[np.triu_indices(4, 1)].mean()
    assert found.cosine == pytest.approx(cosine, rel=1e-12)
    largest = np.abs((rows - rows.mean()) / rows.std()).max()
    # What is known is the largest value alone, from which the mean is taken on either side.
    assert largest <= found.largest <= largest + 2.0 * 0.7 / rows.std()
    assert (found.mean, found.variance, found.second_moment) == (0.0, 1.0, 1.0)


@pytest.mark.parametrize("mean", [0.0, 4.0, -4.0])
def test_the_spread_of_cosines_is_known_of_centred_data_alone(mean):
    rows = np.random.default_rng(3).normal(size=(6, 12))
    rows = mean + 3.0 * (rows - rows.mean())
    inputs = DataInputs("rows", rows, 4).moments()
    found = _standardized(StackCase(Stack.build("relu", 4, 12), 4, inputs, Bounds()))
    own = DataInputs("rows", rows - rows.mean(), 4).moments().cosine_spread
    assert own > 0.1
    np.testing.assert_allclose(found.cosine_spread, own if mean == 0 else np.nan, rtol=1e-12)
    # Norms change with the mean, by as much as each sample has of it.
    assert (found.norms is None) == (mean != 0)


@pytest.mark.parametrize(("law", "kurtosis"), [("normal", 3.0), ("uniform", 1.8)])
def test_drawn_inputs_keep_their_law(law, kurtosis):
    """Squares of samples of 16 independent units with this kurtosis vary by (kurtosis − 1)/16."""
    inputs = DrawnInputs(law, 16, 8, 0.0, 3.0).moments()
    found = standard(StackCase(Stack.build("relu", 4, 16), 8, inputs, Bounds()))
    assert (found.variance, found.kurtosis) == (1.0, pytest.approx(kurtosis))
    assert found.length_variance == pytest.approx((kurtosis - 1.0) / 16)


def test_data_whose_squares_are_beyond_any_float_are_not_scaled():
    inputs = DataInputs("rows", 1e200 * np.random.default_rng(3).normal(size=(4, 12)), 4).moments()
    assert inputs.second_moment == np.inf
    bounds = Bounds(target_mean=0.0, target_variance=4.0)
    assert standard(StackCase(Stack.build("relu", 4, 12), 4, inputs, bounds)) is None


@pytest.mark.parametrize(
    ("std", "words", "dead"), [(1e-170, "too small to square", False), (0.0, "0", True)]
)
def test_inputs_too_small_to_square_are_no_zeros(std, words, dead):
    """Theory knows nothing of networks whose second moments underflow, but that of zeros is 0."""
    options = {"width": 16, "input_std": std, "dtype": "float64", "trials": 2}
    findings = {found.code: found for found in check("relu", depth=3, **options).findings}
    assert ("SN401" in findings) == dead
    code = "SN401" if dead else "SN001"
    assert f"use --input-std 1 (now {words})" in findings[code].remedy
