"""Memory grows with depth only by the size of the results."""

from __future__ import annotations

import pytest
from numba import config

from tests.peak import number_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(config.DISABLE_JIT), reason="100,000 layers need compiled kernels"),
]

PROGRAM = """
import resource, sys
from importlib import import_module
import snstat

from tests.peak import number_of
depth, batch, backward = (int(word) for word in sys.argv[1:4])
# Of a forward pass nothing is kept for the way back: see snstat/engine/history.py.
for name in ("dense.sampler", "dense.strategy", "matrix_free.sampler", "matrix_free.strategy"):
    import_module(f"snstat.engine.{name}").HISTORY_BYTES = 0
snstat.propagate(
    depth=depth, width=64, batch=batch, trials=2, sampler=sys.argv[4], backward=bool(backward)
)
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""
# The record of a layer has eight statistics with estimate, stderr and theory in float64 (192
# bytes). Statistics per trial of a block, and copies while columns are joined and theory is
# computed, take some times that. One state of this network has 2 KiB and would take ten times as
# much.
BYTES_PER_LAYER = 2000


def peak(depth, sampler, batch=8, *, backward=False):
    return number_of("-c", PROGRAM, str(depth), str(batch), str(int(backward)), sampler)


@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
def test_a_hundred_thousand_layers_need_only_the_memory_of_their_results(sampler):
    short, long = 1000, 100_000
    peak(2, sampler)  # compiling kernels takes memory, the first time
    grown = peak(long, sampler) - peak(short, sampler)
    assert grown < BYTES_PER_LAYER * (long - short)


@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
def test_memory_for_gradients_grows_as_the_root_of_the_depth(sampler):
    short, long = 100, 4000
    peak(2, sampler, 64, backward=True)
    grown = peak(long, sampler, 64, backward=True) - peak(short, sampler, 64, backward=True)
    # A state has 16 KiB (dense) or 32 KiB (matrix-free), with two trials at a time: all states
    # would take 128 or 256 MB. Twice √4000 states for each, plus one layer's, take 8 MB.
    assert grown < BYTES_PER_LAYER * (long - short) + 16e6
