"""A barrier for threads that work on one layer together, within compiled code.

Handing a task to a thread pool costs as much as a small layer; a barrier that spins costs a
microsecond. Every member owns one slot, in which it counts its arrivals.
"""

from __future__ import annotations

import ctypes
import sys
import time
from typing import Any, NamedTuple

import llvmlite.binding
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from snstat.engine.kernels.jit import inner, jit

# Distance between slots, so that no two of them share a cache line.
STRIDE = 16
# The number of checks of the other members before the core is offered to another thread.
PATIENCE = 4000


def _yield_address() -> int:
    """Return the address of the function that offers the core to another thread."""
    if sys.platform == "win32":
        function = ctypes.windll.kernel32.SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0


llvmlite.binding.add_symbol("snstat_yield", _yield_address())
_yield_core = types.ExternalFunction("snstat_yield", types.int32())


class Team(NamedTuple):
    """A member of a team of threads that run one kernel, on the same arrays.

    `member` is its number; member 0 leads. `slots` (members · STRIDE,) of type int64 are the
    team's. A nonzero `stop` (1,) of type uint8 ends the run early.
    """

    member: int
    slots: Any
    stop: Any


def new_team(members, stop):
    """Return the members of a team, to be run by `members` threads."""
    slots = np.zeros(members * STRIDE, np.int64)
    return [Team(member, slots, stop) for member in range(members)]


@inner
def size_of(team):
    """Return the number of members."""
    return team.slots.size // STRIDE


@jit
def share(team, count):
    """Return (first, end): of `count` pieces of work this member does first..end−1."""
    members = size_of(team)
    return count * team.member // members, count * (team.member + 1) // members


def yield_core():
    """Offer the core to another thread."""
    time.sleep(0)


@overload(yield_core)
def _overload_yield_core():
    def call():
        _yield_core()

    return call


def publish(array, index, value):
    """Set array[index] = value (int64), after all that this thread has written so far."""
    array[index] = value


def observe(array, index):
    """Return array[index] (int64), before all that this thread will read from now on."""
    return array[index]


@intrinsic
def _publish(_context, array, index, value):
    def generate(context, builder, signature, values):
        kind = signature.args[0]
        view = context.make_array(kind)(context, builder, values[0])
        pointer = cgutils.get_item_pointer(context, builder, kind, view, [values[1]])
        builder.store_atomic(values[2], pointer, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), generate


@intrinsic
def _observe(_context, array, index):
    def generate(context, builder, signature, values):
        kind = signature.args[0]
        view = context.make_array(kind)(context, builder, values[0])
        pointer = cgutils.get_item_pointer(context, builder, kind, view, [values[1]])
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(array, types.intp), generate


@overload(publish)
def _overload_publish(array, index, value):
    def call(array, index, value):
        _publish(array, index, value)  # type: ignore[call-arg]  # its first argument is numba's

    return call


@overload(observe)
def _overload_observe(array, index):
    def call(array, index):
        return _observe(array, index)  # type: ignore[call-arg]  # as above

    return call


@jit
def meet(team):
    """Return when every member of the team has called this as often as this one has."""
    members = size_of(team)
    if members == 1:
        return
    own = team.member * STRIDE
    count = team.slots[own] + 1
    publish(team.slots, own, count)
    for other in range(members):
        looks = 0
        while observe(team.slots, other * STRIDE) < count:
            looks += 1
            if looks > PATIENCE:
                yield_core()
