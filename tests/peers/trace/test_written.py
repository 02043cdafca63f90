"""Parameters that a module writes to while it runs are put back, bit for bit, after every trial."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from snstat.errors import UserCodeError
from tests.peers.trace.tracing import trace, untouched

pytestmark = pytest.mark.peers

SLOWLY = 0.9


def in_place(slow, fast):
    slow.data.mul_(SLOWLY).add_(fast.data, alpha=1 - SLOWLY)


def assigned(slow, fast):
    slow.data = slow.data * SLOWLY + fast.data * (1 - SLOWLY)


def assigned_and_then_in_place(slow, fast):
    assigned(slow, fast)
    in_place(slow, fast)


def in_place_and_then_assigned(slow, fast):
    in_place(slow, fast)
    assigned(slow, fast)


def through_a_view(slow, fast):
    slow.detach().view(-1)[1:].lerp_(fast.detach().view(-1)[1:], 1 - SLOWLY)


def several_at_once(slow, fast):
    torch._foreach_mul_([slow.data], SLOWLY)
    torch._foreach_add_([slow.data], [fast.data], alpha=1 - SLOWLY)


def into_what_is_given(slow, fast):
    torch.mul(fast, SLOWLY, out=slow)


WAYS = [
    in_place, assigned, assigned_and_then_in_place, in_place_and_then_assigned, through_a_view,
    several_at_once, into_what_is_given,
]  # fmt: skip


class Momentum(nn.Module):
    """A slow encoder follows the fast one in every call, as in momentum contrast."""

    def __init__(self, follow, *, fails=False):
        super().__init__()
        self.fast, self.slow = nn.Linear(8, 8), nn.Linear(8, 8)
        self.slow.requires_grad_(False)
        self.follow, self.fails = follow, fails

    @torch.no_grad()
    def step(self):
        for slow, fast in zip(self.slow.parameters(), self.fast.parameters(), strict=True):
            self.follow(slow, fast)

    def forward(self, x):
        self.step()
        if self.fails:
            raise ValueError("in the end")
        return self.fast(x) + self.slow(x)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("follow", WAYS)
def test_parameters_are_put_back(follow, backward):
    model = Momentum(follow)
    data = [own.data_ptr() for own in model.parameters()]
    with untouched(model):
        rows = trace(model, ["Bx8"], backward=backward, trials=3)
    assert [own.data_ptr() for own in model.parameters()] == data
    # What every trial has seen: the slow encoder after one step, not after as many as calls.
    once = copy.deepcopy(model)
    once.step()
    again = trace(nn.Sequential(once.slow), ["Bx8"], backward=backward, trials=3)
    for name in ("mean", "second_moment"):
        assert rows["slow"][name] == pytest.approx(again["0"][name], rel=1e-12)


@pytest.mark.parametrize("follow", WAYS)
def test_the_first_trial_of_a_function_has_what_its_module_starts_with(follow):
    """Axes are found by running the module of the first trial before."""

    def made():
        torch.manual_seed(0)
        return Momentum(follow)

    rows = trace(made, ["Bx8"], trials=1)
    once = made()
    once.step()
    again = trace(nn.Sequential(once.slow), ["Bx8"], trials=1)
    assert rows["slow"]["second_moment"] == pytest.approx(again["0"]["second_moment"], rel=1e-12)


@pytest.mark.parametrize("follow", WAYS)
def test_parameters_of_a_module_that_fails_are_put_back(follow):
    model = Momentum(follow, fails=True)
    with untouched(model), pytest.raises(UserCodeError):
        trace(model, ["Bx8"])


def test_weights_that_share_memory_are_put_back():
    model = Momentum(in_place)
    model.slow.weight.data = torch.randn(20, 8)[6:14]
    model.slow.bias.data = model.slow.weight.data[2]
    with untouched(model):
        trace(model, ["Bx8"], trials=2)
