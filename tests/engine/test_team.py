"""Threads of a team wait for each other and see each other's earlier writes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from snstat.engine.kernels.jit import jit
from snstat.engine.kernels.team import STRIDE, meet, new_team

ROUNDS = 200


@jit
def relay(team, member, counts, seen):
    """In each round count, meet, add all counts, and meet again before counting on."""
    for _ in range(ROUNDS):
        counts[member] += 1
        meet(team, member)
        seen[member] += counts.sum()
        meet(team, member)


@pytest.mark.parametrize("members", [1, 2, 5])
def test_no_thread_runs_ahead(members):
    team, counts, seen = new_team(members), np.zeros(members, np.int64), np.zeros(members, np.int64)
    with ThreadPoolExecutor(members) as pool:
        list(pool.map(lambda member: relay(team, member, counts, seen), range(members)))
    # In round r every thread sees members · r. A lost or early arrival would change the sum.
    assert (seen == members * ROUNDS * (ROUNDS + 1) // 2).all()
    if members > 1:
        assert (team[::STRIDE] == 2 * ROUNDS).all()
