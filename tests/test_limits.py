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
depth, batch, backward = (int(word) for word in sys.argv[1:4])
snstat.propagate(
    depth=depth, width=64, batch=batch, trials=2, sampler=sys.argv[4], backward=bool(backward)
)
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""
# Linux counts the memory of the process that starts another as the other's own peak. The shell in
# between is small, and the command after it keeps it from becoming that process itself.
BETWEEN = ["sh", "-c", '"$@"; exit $?', "sh"]
# A layer's record: eight statistics with estimate, stderr and theory, in float64 (192 bytes). Per
# trial statistics of a block, and copies while columns are joined and theory is made, come to some
# times that; one state of this network is 2 KiB and would be ten times as much.
BYTES_PER_LAYER = 2000


def peak(depth, sampler, batch=8, *, backward=False):
    command = [*BETWEEN, sys.executable, "-c", PROGRAM, str(depth), str(batch)]
    command += [str(int(backward)), sampler]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(result.stdout)


@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
def test_a_hundred_thousand_layers_need_the_memory_of_their_results(sampler):
    short, long = 1000, 100_000
    grown = peak(long, sampler) - peak(short, sampler)
    assert grown < BYTES_PER_LAYER * (long - short)


@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
def test_gradients_need_memory_for_the_root_of_the_depth(sampler):
    short, long = 100, 4000
    grown = peak(long, sampler, 64, backward=True) - peak(short, sampler, 64, backward=True)
    # A state is 16 KiB (dense) or 32 KiB (matrix-free), and there are two trials at a time: all
    # states would be 128 or 256 MB. Twice √4000 of them for each, with one layer's more, are 8 MB.
    assert grown < BYTES_PER_LAYER * (long - short) + 16e6
