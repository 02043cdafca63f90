"""The statistics that torch computes where a tensor is, on the CPU here, agree with the kernels.

Both sum in float64, in another order: see the tolerance of tests.engine.test_tensors.py.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from snstat.engine.tensor import MEASURED_OF_TENSORS, NOT_TOLD, Still
from snstat.results.module import Axes
from snstat.sources.torch import measure, on_device
from tests.engine.test_tensors import SHAPES, TOLERANCE, drawn
from tests.peers.trace.models import ResNet
from tests.peers.trace.tracing import trace

pytestmark = pytest.mark.peers


def axes_of(roles):
    if roles is None:
        return None
    found = ([n for n, role in enumerate(roles) if role == letter] for letter in "SPU")
    return Axes(*map(tuple, found), "given")


def assert_alike(tensor, roles, still=NOT_TOLD, batch=1, axes=None):
    axes = axes or axes_of(roles)
    with pytest.MonkeyPatch.context() as patch:
        finite, expected = measure.measure_tensor(tensor, axes, batch, still)
        square = measure.square_of(tensor)
        patch.setattr(measure, "COPIED", ())
        own, found = measure.measure_tensor(tensor, axes, batch, still)
        squared = measure.square_of(tensor)
    assert own == finite
    for name, value, wanted in zip(MEASURED_OF_TENSORS, found, expected, strict=True):
        close = pytest.approx(wanted, rel=TOLERANCE, abs=1e-13, nan_ok=True)
        assert value == close, name
    assert squared == pytest.approx(square, rel=TOLERANCE, nan_ok=True)


@pytest.mark.parametrize("block", [2**20, 100, 7])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "roles"), [*SHAPES, ((3, 5), None), ((1,), "U"), ((), None)])
def test_blocks_of_any_size_give_what_kernels_give(shape, roles, dtype, block, monkeypatch):
    monkeypatch.setattr(on_device, "BLOCK", block)
    assert_alike(torch.from_numpy(np.array(drawn(shape, dtype))), roles)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_types(dtype):
    assert_alike(torch.from_numpy(drawn((4, 7, 33), "float32")).to(dtype), "SPU")


@pytest.mark.parametrize(
    ("view", "roles"),
    [
        (lambda x: x.to(memory_format=torch.channels_last), "SUPP"),
        (lambda x: x[:, ::2, :, 1:], "SUPP"),
        (lambda x: x.transpose(0, 1), "USPP"),
        (lambda x: x[:1].expand(5, -1, -1, -1), "SUPP"),
        (lambda x: x.requires_grad_(), "SPPU"),
    ],
)
def test_views(view, roles):
    assert_alike(view(torch.from_numpy(drawn((4, 6, 5, 8), "float32"))), roles)


def test_samples_merged_with_positions():
    tensor = torch.from_numpy(drawn((12, 5), "float32"))
    assert_alike(tensor, None, batch=4, axes=Axes((0,), (0,), (1,), "probed"))
    assert_alike(tensor, None, batch=5, axes=Axes((0,), (0,), (1,), "probed"))


@pytest.mark.parametrize("still", [NOT_TOLD, Still(0.0, math.inf), Still(-1.0, 1.0, -0.1, 0.1)])
@pytest.mark.parametrize("roles", ["SPU", "SUP", "SP"])
def test_zeros_dead_units_and_saturation(roles, still):
    array = np.maximum(drawn((5, 6, 7)[: len(roles)], "float32", mean=0.0), 0)
    array[1], array[:, 2], array[3, 3] = 0, 0, 1.0
    assert_alike(torch.from_numpy(array), roles, still)
    assert_alike(torch.zeros(array.shape), roles, still)
    assert_alike(torch.full(array.shape, 0.1), roles, still)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e200, 1e-200, 1e-320])
@pytest.mark.parametrize("place", [(0, 0, 0), (3, 5, 6)])
def test_values_that_are_not_finite_and_squares_that_are_not(value, place):
    array = drawn((4, 6, 7), "float64")
    array[place] = value
    assert_alike(torch.from_numpy(array), "SPU")
    if value != 1e200:  # of which the rounding of a mean has no square
        array[:] = value
        assert_alike(torch.from_numpy(array), "SPU")


def test_alike_samples_and_outliers_keep_their_precision():
    array = np.repeat(drawn((1, 5, 40), "float64"), 8, 0)
    array += 1e-6 * np.random.default_rng(1).standard_normal(array.shape)
    assert_alike(torch.from_numpy(array), "SPU")
    array[:, 0] += 1000.0
    array[0, 0, 0] = 3e4
    assert_alike(torch.from_numpy(array), "SPU")


def test_a_trace_is_the_same_wherever_its_tensors_are(monkeypatch):
    plain = trace(ResNet, trials=2)
    monkeypatch.setattr(measure, "COPIED", ())
    monkeypatch.setattr(measure, "array_of", None)
    rows = trace(ResNet, trials=2)
    np.testing.assert_allclose(rows.traced.values, plain.traced.values, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(
        rows.traced.log_gradient, plain.traced.log_gradient, rtol=1e-12, atol=1e-12
    )


def test_no_more_than_a_block_is_widened(monkeypatch):
    monkeypatch.setattr(on_device, "BLOCK", 1000)
    sizes = []
    double = torch.Tensor.double

    def counted(tensor):
        sizes.append(tensor.numel())
        return double(tensor)

    monkeypatch.setattr(torch.Tensor, "double", counted)
    tensor = torch.from_numpy(drawn((9, 50, 70), "float32"))
    on_device.measure_on_device(tensor, "SPU", NOT_TOLD)
    assert max(sizes) <= 1000
