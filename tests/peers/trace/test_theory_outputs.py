"""Modules that return dataclasses have the theory of those that return their tensors."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

import snstat
from snstat import cli
from tests.peers.trace.own_modules import own, theory_of
from tests.peers.trace.test_theory import ends
from tests.peers.trace.theory_models import lecun
from tests.peers.trace.tracing import untouched

pytestmark = pytest.mark.peers


@dataclasses.dataclass
class Plain:
    hidden: torch.Tensor
    name: str = "a"
    other: object | None = None


@dataclasses.dataclass
class Ordered(OrderedDict):
    """A dict of its fields that are not None, as ModelOutput of transformers is."""

    hidden: torch.Tensor | None = None
    loss: torch.Tensor | None = None

    def __post_init__(self):
        self["hidden"] = self.hidden


def alone(hidden):
    return hidden


def within(hidden):
    return [Plain(hidden), {"more": Plain(hidden, other=object())}]


class Network(nn.Module):
    """Two layers, of which the first returns a container, and the whole another."""

    def __init__(self, kind):
        super().__init__()
        self.first, self.act, self.last = Layer(kind), nn.Tanh(), lecun(32, 32)
        self.kind = kind

    def forward(self, x):
        hidden = self.first(x)
        return self.kind(self.last(self.act(getattr(hidden, "hidden", hidden))))


class Layer(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.l, self.kind = lecun(32, 32), kind

    def forward(self, x):
        return self.kind(self.l(x))


def traced(kind, **options):
    return snstat.trace(lambda: Network(kind), "Bx32", trials=2, **options)


@pytest.mark.parametrize("kind", [Plain, Ordered])
def test_theory_goes_through_dataclasses(kind):
    run, twin = traced(kind), traced(alone)
    assert run.module.theory_ends == ()
    assert run.module.notes == ()
    names = [layer.name for layer in run.layers]
    assert names == ["input", "first.l", "first.hidden", "act", "last", "Network.hidden"]
    for name, statistic in run.statistics.items():
        np.testing.assert_array_equal(statistic.theory, twin.statistics[name].theory)
    assert np.isfinite(run.second_moment.theory).all()
    assert np.isfinite(run.gradient.theory).all()


def test_dataclasses_within_others_and_what_holds_no_numbers():
    class Nested(nn.Sequential):
        def forward(self, x):
            return within(super().forward(x))

    def network():
        return Nested(lecun(32, 32), nn.Tanh())

    run = snstat.trace(network, "Bx32", trials=2)
    assert [layer.name for layer in run.layers][3:] == ["Nested[0].hidden", "Nested[1].more.hidden"]
    assert run.module.theory_ends == ()
    assert np.isfinite(run.second_moment.theory[:3]).all()


OWN = """
from dataclasses import dataclass
from torch import nn

@dataclass
class Out:
    hidden: object
    word: str = "a"

class Own(nn.Sequential):
    def forward(self, x):
        return Out(super().forward(x))

def own():
    return Own(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
"""


def test_the_network_file_of_a_module_that_returns_a_dataclass(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owndata.py").write_text(OWN, "utf-8")
    words = ["trace", "owndata:own", "--input", "Bx8", "--as-network", "own.toml", "-o", "r.json"]
    assert cli.run(words) == 0
    assert snstat.Network.load("own.toml").depth == 3


def test_no_hook_stays_on_a_module():
    torch.manual_seed(0)
    model = Network(Plain)
    with untouched(model):
        snstat.trace(model, "Bx32", trials=1)
    assert isinstance(model(torch.ones(2, 32)), Plain)


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: m.b(m.a(x).flatten(0, 1)).unflatten(0, (-1, 1)).mean(1),
        lambda m, x: m.a(x).mean(1) + m.b(x).squeeze(1),
        lambda m, x: torch.cat([m.a(x).mean(1), m.b(x).squeeze(1)], 1),
        lambda m, x: x + m.a(x).view(len(x), -1).unsqueeze(1),
    ],
    ids=["mean", "sum", "concatenation", "residual"],
)  # fmt: skip
def test_one_position_is_a_vector_or_a_grid(forward):
    """E[y²] is that of the sum of its parts, or the mean of them."""
    layers = {name: lambda: nn.Linear(64, 64) for name in "ab"}
    run = theory_of(own(forward, **layers), "Bx1x64", trials=32, batch=8)
    assert ends(run) == []
    found = run["Own"].statistics["second_moment"]
    assert found.theory is not None
    assert abs(found.estimate - found.theory) < 5.0 * found.stderr
