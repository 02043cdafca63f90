"""What is exact of layer 0, beside means over drawn batches."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.experiment.inputs import DrawnInputs
from snstat.layers.shape import Shape
from snstat.results import STATISTICS
from snstat.theory.at_input import exact_of_input

NAMES = ("mean", "variance", "second_moment", "variance_over_batch", "variance_over_units")


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (-1.0, 0.5), (0.3, 2.0), (0.7, 0.0)])
@pytest.mark.parametrize("grid", [(), (3,)])
def test_expectations_are_means_over_batches(mean, std, grid):
    """Of 20,000, within 4.5 standard errors. The mean cosine of samples with a mean that varies is
    no simple number, so it is not told."""
    shape, batch = Shape(4, grid), 3
    inputs = DrawnInputs("normal", shape.units, batch, mean, std)
    exact = exact_of_input(shape, batch, inputs.moments())
    assert list(exact) == list(STATISTICS)
    random = np.random.default_rng(2)
    x = mean + std * random.standard_normal((20_000, batch, shape.positions, shape.channels))
    samples = x.reshape(len(x), batch, -1)
    found = {
        "mean": x.mean(axis=(1, 2, 3)),
        "variance": x.var(axis=(1, 2, 3)),
        "second_moment": (x**2).mean(axis=(1, 2, 3)),
        "variance_over_batch": x.var(axis=1).mean(axis=(1, 2)),
        "variance_over_units": x.var(axis=3).mean(axis=(1, 2)),
    }
    assert set(found) == set(NAMES)
    if mean == 0 or std == 0:
        units = samples / np.linalg.norm(samples, axis=2, keepdims=True)
        products = np.einsum("nbu,ncu->nbc", units, units)
        found["cosine"] = products[:, *np.triu_indices(batch, 1)].mean(axis=1)
    else:
        assert math.isnan(exact["cosine"])
    for name, values in found.items():
        error = 4.5 * values.std() / math.sqrt(len(values)) + 1e-12
        assert exact[name] == pytest.approx(values.mean(), abs=error), name


def test_one_sample_has_no_cosine():
    inputs = DrawnInputs("normal", 4, 1, 0.0, 1.0)
    exact = exact_of_input(Shape(4), 1, inputs.moments())
    assert math.isnan(exact["cosine"])
    assert exact["second_moment"] == 1.0
