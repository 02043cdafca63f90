"""Traces within a loop of modules that are compiled: they run eagerly meanwhile, and only then."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snstat

pytestmark = pytest.mark.peers


@pytest.fixture
def compiled_graphs():
    """Count how often a compiled graph runs."""
    torch._dynamo.reset()
    ran = []

    def backend(graph, _examples):
        def run(*args):
            ran.append(1)
            return graph(*args)

        return run

    yield backend, ran
    torch._dynamo.reset()


class Network(nn.Module):
    """Dynamo leaves the calls of an `nn.Sequential` that is compiled in place as they are."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))

    def forward(self, x):
        return self.layers(x)


def network():
    torch.manual_seed(0)
    return Network()


def wrapped(model, backend):
    return torch.compile(model, backend=backend)


def in_place(model, backend):
    model.compile(backend=backend)
    return model


def step(called, model):
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    called(torch.linspace(-1, 1, 64).reshape(4, 16)).square().sum().backward()
    optimiser.step()


@pytest.mark.parametrize("compiled", [wrapped, in_place])
@pytest.mark.parametrize("before", [False, True], ids=["new", "used"])
@pytest.mark.parametrize("inner", [False, True], ids=["as compiled", "as written"])
def test_a_compiled_module_is_traced_as_its_eager_twin(compiled, before, inner, compiled_graphs):
    backend, ran = compiled_graphs
    model, twin = network(), network()
    called = compiled(model, backend)
    if before:
        called(torch.zeros(4, 16))
    count = len(ran)
    with snstat.tracing(model if inner else called) as t:
        step(called, model)
    assert len(ran) == count
    with snstat.tracing(twin) as plain:
        step(twin, twin)
    assert t.run == plain.run
    for own, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(own, other)
        assert torch.equal(own.grad, other.grad)
    called(torch.zeros(4, 16))
    assert len(ran) == count + 1
    assert not any(module._forward_hooks for module in model.modules())


def test_what_is_compiled_is_compiled_again_after_an_exception(compiled_graphs):
    backend, ran = compiled_graphs
    model = network()
    called = torch.compile(model, backend=backend)
    with pytest.raises(RuntimeError, match="shapes"), snstat.tracing(called):
        called(torch.zeros(4, 15))
    with pytest.raises(KeyboardInterrupt), snstat.tracing(called):
        raise KeyboardInterrupt
    called(torch.zeros(4, 16))
    assert len(ran) == 1


def test_a_compiled_function_that_calls_the_module(compiled_graphs):
    backend, ran = compiled_graphs
    model = network()
    function = torch.compile(lambda x: model(x).sum(), backend=backend)
    with snstat.tracing(model) as t:
        traced = function(torch.ones(4, 16))
    assert not ran
    assert t.run.module.not_called == ()
    assert torch.equal(function(torch.ones(4, 16)), traced)
    assert len(ran) == 1
