"""Help for the tests of traces: rows by name, plain values by hooks of the test's own."""

from __future__ import annotations

import copy
import random
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from snstat.sources.torch.trace import trace_module
from tests.engine import tensor_oracle


class Rows:
    """The rows of a trace by name: `rows["relu#2"]["mean"]` is the mean of every trial."""

    def __init__(self, traced):
        self.traced, self.summary = traced, traced.summary
        self.names = ["input", *(row.name for row in traced.summary.rows)]

    def __getitem__(self, name):
        at = self.names.index(name)
        found = dict(zip(self.traced.names, self.traced.values[:, at].T, strict=True))
        if self.traced.log_gradient is not None:
            found["gradient"] = np.exp(self.traced.log_gradient[:, at])
        return found

    def call(self, name):
        return self.summary.rows[self.names.index(name) - 1]


def trace(target, inputs=None, **options):
    return Rows(trace_module(target, inputs=inputs, **options))


def expected(tensor, roles):
    """Return the statistics of a tensor by plain loops."""
    return tensor_oracle.statistics(tensor.detach().double().numpy(), roles)


def assert_measured(found, tensor, roles, trial=0):
    """Assert that a row has the statistics of a tensor: equal values, summed in another order."""
    for name, value in expected(tensor, roles).items():
        if name not in ("saturated_fraction", "dead_fraction"):
            close = pytest.approx(value, rel=1e-11, abs=1e-12, nan_ok=True)
            assert found[name][trial] == close, name


def state(model):
    """Return all that a trace must leave alone, as plain values."""
    return {
        "values": {name: value.clone() for name, value in model.state_dict().items()},
        "identities": {name: id(value) for name, value in model.state_dict(keep_vars=True).items()},
        "modes": [module.training for module in model.modules()],
        "needs": [p.requires_grad for p in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "attributes": [sorted(module.__dict__) for module in model.modules()],
        "hooks": [
            len(module._forward_hooks)
            + len(module._forward_pre_hooks)
            + len(module._backward_hooks)
            for module in model.modules()
        ],
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1].copy(),
        "python": random.getstate(),
        "gradients on": torch.is_grad_enabled(),
    }


def alike(one, two):
    if isinstance(one, torch.Tensor):
        return (
            one.dtype == two.dtype
            and torch.equal(one.isnan(), two.isnan())
            and torch.equal(one.nan_to_num(), two.nan_to_num())
            if one.is_floating_point()
            else torch.equal(one, two)
        )
    if isinstance(one, np.ndarray):
        return np.array_equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(alike(one[k], two[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(alike, one, two))
    return one == two


@contextmanager
def untouched(model):
    """Assert that a module and the random states are as they were, bit for bit."""
    before = copy.copy(state(model))
    yield
    after = state(model)
    for name, value in before.items():
        assert alike(value, after[name]), name
