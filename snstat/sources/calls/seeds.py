"""Seeds of all that is random in a trial."""

from __future__ import annotations

import numpy as np

# What random numbers are drawn for: purposes of `seed_of`.
MODEL, INPUTS, READ_OUT, SAMPLES = range(4)


def seed_of(seed: int, trial: int, purpose: int) -> int:
    """Return the seed of a generator of torch, of which 32 bits count."""
    return int(np.random.SeedSequence((seed, trial, purpose)).generate_state(1)[0])
