"""Memory grows with depth by the results themselves and by nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest
from numba import config

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(config.DISABLE_JIT), reason="100,000 layers need compiled kernels"),
]

PROGRAM = """
import resource, sys
import snstat
snstat.propagate(depth=int(sys.argv[1]), width=64, batch=8, trials=2, sampler=sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
# A layer's record: eight statistics with estimate, stderr and theory, in float64 (192 bytes). Per
# trial statistics of a block, and copies while columns are joined and theory is made, come to some
# times that; one state of this network is 2 KiB and would be ten times as much.
BYTES_PER_LAYER = 2000


def peak(depth, sampler):
    command = [sys.executable, "-c", PROGRAM, str(depth), sampler]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(result.stdout) * 1024


@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
def test_a_hundred_thousand_layers_need_the_memory_of_their_results(sampler):
    short, long = 1000, 100_000
    grown = peak(long, sampler) - peak(short, sampler)
    assert grown < BYTES_PER_LAYER * (long - short)
