"""The compared generators give the published outputs of the algorithms that they are named
after."""

from __future__ import annotations

import numpy as np
import pytest
from numba import config

from tests.benchmarks import generators

# Threefry's 32-bit arithmetic is right only when compiled.
pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="measures compiled code")


# Random123's known answers for counter 0 and key 0; the first outputs of splitmix64 with seed 0.
@pytest.mark.parametrize(
    ("block", "answer"),
    [
        (generators.philox_10, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        (generators.philox_7, [0x5F6FB709, 0x0D893F64, 0x4F121F81, 0x4F730A48]),
        (generators.threefry_20, [0x9C6CA96A, 0xE17EAE66, 0xFC10ECD4, 0x5256A7D8]),
        (generators.splitmix, [0x7B1DCDAF, 0xE220A839, 0xA1B965F4, 0x6E789E6A]),
    ],
)
def test_known_answers(block, answer):
    words = np.zeros(4, np.uint32)
    generators.filler(block)(words, np.uint64(0), np.uint64(0))
    assert words.tolist() == answer
