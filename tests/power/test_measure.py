"""A small run of the measurement of false alarms and power; `make power` runs all of it."""

from __future__ import annotations

import pytest
from numba import config
from scipy.stats import binom

from tests.power import measure


def test_the_bound_matches_clopper_and_pearson():
    # With no event in n repetitions, the bound is about 3/n.
    assert measure.upper_bound(0, 1000) == pytest.approx(1.0 - 0.05**1e-3)
    assert measure.upper_bound(5, 5) == 1.0
    rate = measure.upper_bound(7, 300)
    assert binom.cdf(7, 300, rate) == pytest.approx(0.05)


@pytest.mark.slow
@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="dozens of networks need compiled kernels")
def test_slips_are_found_and_steady_stacks_give_no_alarms(monkeypatch):
    few = {"depth": 16, "width": 256}
    steady = [(name, {**few, **options}) for name, options in measure.STEADY[:2]]
    monkeypatch.setattr(measure, "STEADY", steady)
    # Close changes are missed now and then, in networks as narrow as these often.
    slips = [
        measure.Slip(slip.name, {**few, **slip.before}, {**few, **slip.after})
        for slip in measure.SLIPS
        if not slip.close
    ]
    monkeypatch.setattr(measure, "SLIPS", slips)
    rows = list(measure.false_alarms(10, 10))
    # Two alarms in 20 checks have probability 0.005.
    assert sum(int(row.split("|")[column].split()[0]) for row in rows for column in (3, 4)) < 2
    for line in measure.misses(2, 2):
        assert line.split("|")[3].strip() == "0", line
