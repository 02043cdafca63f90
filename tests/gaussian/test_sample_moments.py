"""Expectations of one sample: what is kept of them."""

from __future__ import annotations

import gc
from weakref import ref

import numpy as np

from snstat.activation import resolve
from snstat.gaussian.sample_moments import one_sample


class Sine:
    """A function that `resolve` does not keep, because it has no hash."""

    __hash__ = None

    def __call__(self, x):
        return np.sin(x)


def test_moments_are_computed_once_without_keeping_functions():
    phi = Sine()
    activation, kept = resolve((phi, np.cos)), ref(phi)
    first = one_sample(activation, 1.5, backward=True)
    assert one_sample(activation, 1.5, backward=True) is first
    assert one_sample(activation, 1.5, backward=False) is not first
    del phi, activation
    gc.collect()
    assert kept() is None
