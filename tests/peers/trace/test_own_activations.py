"""Modules of a user's own that are activation functions have their theory, told by their values."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from snstat import layers as L  # noqa: N812  # as its page writes it
from snstat.sources.torch.own_activations import own_activations
from tests.peers.trace.own_modules import entries, theory_of
from tests.peers.trace.test_theory import ends

pytestmark = pytest.mark.peers


class Own(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function, self.calls = function, 0

    def forward(self, x):
        self.calls += 1
        return self.function(x)


def gelu_of_gpt2(x):
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3))))


KNOWN = {
    "silu": lambda x: x * torch.sigmoid(x),
    "gelu_tanh": gelu_of_gpt2,
    "gelu": lambda x: 0.5 * x * (1.0 + torch.erf(x / math.sqrt(2.0))),
    "mish": lambda x: x * torch.tanh(functional.softplus(x)),
    "relu": lambda x: torch.where(x > 0, x, torch.zeros_like(x)),
    "relu_squared": lambda x: torch.clamp(x, min=0.0) ** 2,
    "leaky_relu:0.3": lambda x: torch.maximum(x, 0.3 * x),
    "tanh": lambda x: 2.0 * torch.sigmoid(2.0 * x) - 1.0,
    "softsign": lambda x: x / (1.0 + x.abs()),
}


def written(x):
    return x.mul_(torch.sigmoid(x))


OTHERS = {
    "another slope": lambda x: x * torch.sigmoid(1.702 * x),
    "a softmax": lambda x: torch.softmax(x, -1),
    "less its mean": lambda x: torch.relu(x - x.mean()),
    "chance": lambda x: torch.relu(x) * (torch.rand_like(x) > 0.5),
    "nothing": lambda x: x,
    "in place": written,
    "a tuple": lambda x: (torch.relu(x), x),
    "images only": lambda x: torch.relu(x) if x.dim() == 4 else x[:, :, None, None],
}


def network(function):
    def make():
        return nn.Sequential(nn.Linear(32, 32), Own(function), nn.Linear(32, 8))

    return make


@pytest.mark.parametrize("name", KNOWN)
def test_a_function_of_code_is_the_activation_that_it_is(name):
    run, found = entries(network(KNOWN[name]), "Bx32")
    assert found[1].layer == L.Activation(name)
    assert len(found) == 3
    assert ends(run) == []
    for row in ("0", "1", "2"):
        assert run[row].statistics["second_moment"].theory is not None


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_activation_with_a_name(name):
    model = nn.Sequential(Own(OTHERS[name]))
    assert own_activations(model) == {}


def test_modules_with_parameters_or_parts_are_left_to_their_code():
    class Slope(nn.Module):
        def __init__(self):
            super().__init__()
            self.slope = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return torch.relu(x) + self.slope

    parts = nn.Module()
    parts.inner = Own(torch.relu)
    assert own_activations(nn.Sequential(Slope(), parts, nn.ReLU())) == {"1.inner": "relu"}


def test_a_module_as_it_is_counts_no_calls_of_ours():
    model = nn.Sequential(nn.Linear(8, 8), Own(KNOWN["silu"]), nn.Linear(8, 4))
    theory_of(model, "Bx8")
    assert model[1].calls == 0


def test_theory_goes_on_behind_it_in_other_shapes():
    """Of images, and called twice, which an activation may be."""
    act = Own(KNOWN["mish"])

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
            self.act = act

        def forward(self, x):
            return self.act(self.two(self.act(self.one(x))))

    run = theory_of(Twice, "Bx3x8x8")
    assert ends(run) == []
    for row in ("act#1", "act#2"):
        found = run[row].statistics["second_moment"]
        assert abs(found.estimate / found.theory - 1.0) < 0.5


def test_what_ends_before_it_is_told_once():
    model = nn.Sequential
    run = theory_of(lambda: model(nn.Linear(16, 16), nn.Softmax(-1), Own(KNOWN["silu"])), "Bx16")
    assert [(path, call) for path, call, _ in ends(run)] == [("1", 1)]


def test_it_may_be_the_first_layer():
    run = theory_of(lambda: nn.Sequential(Own(KNOWN["silu"]), nn.Linear(16, 4)), "Bx16")
    assert [(path, call) for path, call, _ in ends(run)] == [("0", 1)]
