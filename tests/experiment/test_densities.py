"""Densities beside their law, for data whose samples differ in norm."""

from __future__ import annotations

import numpy as np
import pytest
from numba import config
from scipy.special import ndtr

from snstat.engine.densities import SPAN, histogram
from snstat.experiment.densities import densities
from snstat.experiment.plan import Plan
from snstat.gaussian.law import CELLS


def norms(small=1.0, large=20.0):
    """Return rows of which three in four have second moment `small`², one in four `large`²."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (8, 32))
    return signs * np.where(np.arange(8) % 4 == 0, large, small)[:, None]


def found(activation, data, **options):
    options = {"depth": 1, "width": 32, "batch": 8, "trials": 4, **options}
    return densities(Plan.build(activation, inputs=data, **options), [1])


def test_the_law_is_that_of_every_sample():
    record = found("tanh", norms())
    inner = np.clip(record.edges[0], -1.0, 1.0)
    # tanh is monotone: P(tanh z < e) = P(z < artanh e), and q of a row is its second moment.
    with np.errstate(divide="ignore"):
        places = np.arctanh(inner)
    chance = 0.75 * np.diff(ndtr(places)) + 0.25 * np.diff(ndtr(places / 20.0))
    # An end of a bin falls into one cell of each of the two laws.
    assert record.law[0] * np.diff(record.edges[0]) == pytest.approx(chance, abs=2.0 / CELLS)


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="thousands of networks need compiled kernels")
def test_a_network_follows_the_law_of_data_of_several_norms():
    record = found("identity", norms(), trials=2_000, width=64)
    bins = np.diff(record.edges[0])
    law, share = record.law[0] * bins, record.density[0] * bins
    # Units of one network are independent: 2,000 × 64 of them, each seen by 8 samples.
    stderr = np.sqrt(law * (1.0 - law) / (2_000 * 64))
    assert (np.abs(share - law) <= 5.0 * stderr + 2.0 / CELLS).all()


def test_a_sample_of_zeros_is_an_atom_of_relu():
    data = norms()
    data[:2] = 0.0
    record = found("relu", data)
    assert record.atoms.tolist() == [0.0]
    # Half of the units of the other six, and all of these two.
    assert record.atom_law[0, 0] == pytest.approx(0.75 * 0.5 + 0.25, abs=1e-15)
    # Weights are symmetric: the deviation of a share of 32 × 4 units is at most ½/√128.
    assert record.atom_shares[0, 0] == pytest.approx(0.625, abs=5 * 0.75 * 0.5 / np.sqrt(128))
    # The atom is in no bar: bars have the rest, but for what is beyond the last of them.
    inside = record.density[0] @ np.diff(record.edges[0])
    assert 0.9 <= inside / (1.0 - record.atom_shares[0, 0]) <= 1.0 + 1e-12


def test_bins_reach_from_the_mean_as_far_as_there_are_deviations_or_values():
    values = np.random.default_rng(0).normal(3.0, 1.0, 4000)
    values[0] = 500.0  # far beyond all deviations
    made = histogram(1, [values[:1000], values[1000:]], ())
    assert made.edges[0] == values.min()
    assert made.edges[-1] == pytest.approx(values.mean() + SPAN * values.std(), rel=1e-12)
