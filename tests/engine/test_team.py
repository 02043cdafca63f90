"""Threads of a team wait for each other and see each other's earlier writes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from snstat.engine.kernels.jit import jit
from snstat.engine.kernels.team import STRIDE, meet, new_team, share
from snstat.engine.sampler import Shared
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack

ROUNDS = 200


@jit
def relay(team, counts, seen):
    """In each round count, meet, add all counts, and meet again before counting on."""
    for _ in range(ROUNDS):
        counts[team.member] += 1
        meet(team)
        seen[team.member] += counts.sum()
        meet(team)


@pytest.mark.parametrize("members", [1, 2, 5])
def test_no_thread_runs_ahead(members):
    team = new_team(members, np.zeros(1, np.uint8))
    counts, seen = np.zeros(members, np.int64), np.zeros(members, np.int64)
    with ThreadPoolExecutor(members) as pool:
        list(pool.map(lambda member: relay(member, counts, seen), team))
    # In round r every thread sees members · r. A lost or early arrival would change the sum.
    assert (seen == members * ROUNDS * (ROUNDS + 1) // 2).all()
    if members > 1:
        assert (team[0].slots[::STRIDE] == 2 * ROUNDS).all()


@pytest.mark.parametrize("members", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 4, 17])
def test_members_share_all_pieces_evenly(members, count):
    shares = [range(*share(member, count)) for member in new_team(members, np.zeros(1, np.uint8))]
    assert [piece for part in shares for piece in part] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_the_leader_waits_for_its_team_and_raises_what_it_raises():
    sampler = Shared(Stack.build("tanh", 1, 4), DrawnInputs("normal", 4, 2, 0.0, 1.0), 1, 0, "f4")
    sampler.assemble(3, 1)
    seen = []

    def slow(team, item):
        time.sleep(0.05 * (team.member > 0))
        seen.append((team.member, item))

    sampler.together(slow, "item")
    assert sorted(seen) == [(member, "item") for member in range(3)]

    def fails(team):
        if team.member == 2:
            raise MemoryError(team.member)

    with pytest.raises(MemoryError):
        sampler.together(fails)
