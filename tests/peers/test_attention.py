"""Attention and nn.MultiheadAttention: values and gradients, and PyTorch's own initialisation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from snstat.layers.attention import Attention
from snstat.layers.shape import Shape
from snstat.network.network import Network
from tests.layers.plain_draw import PlainDraw
from tests.peers.comparison import compare

pytestmark = pytest.mark.peers

WIDTH = 12


def attention(**keys):
    return {"kind": "attention", "heads": 3, "bias_std": 0.3, "weight_gain": 1.5, **keys}


# Layers before attention, and its keys.
FORMS = {
    "self": ([], {}),
    "causal": ([], {"causal": True}),
    "standardized": ([], {"weights": "standardized"}),
    "torch": ([], {"init": "torch_default", "weight_gain": None, "bias_std": None}),
    "dropout": ([], {"dropout": 0.2, "causal": True}),
    "cross": (
        [
            {"kind": "conv", "channels": 8, "kernel": 2, "stride": 2, "name": "short"},
            {"kind": "dense", "width": 8, "activation": "tanh", "name": "memory"},
        ],
        {"inputs": ["input", "memory"]},
    ),
    "cross of one width": (
        [{"kind": "conv", "channels": WIDTH, "kernel": 2, "stride": 2, "name": "memory"}],
        {"inputs": ["input", "memory"]},
    ),
    "twice": (
        [{"kind": "dense", "width": WIDTH, "name": "x"}],
        {"inputs": ["x", "x"]},
    ),
}


def network(form):
    before, keys = FORMS[form]
    own = {key: value for key, value in attention(**keys).items() if value is not None}
    layers = [*before, own, {"kind": "layer_norm"}, attention()]
    return Network.read({"input": {"channels": WIDTH, "grid": [7]}, "layers": layers})


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
def test_attention_is_that_of_pytorch(form, dtype, train):
    compare(network(form), dtype, train=train)


@pytest.mark.parametrize("read", [WIDTH, 2 * WIDTH])
def test_weights_and_biases_have_the_range_and_variance_of_pytorch(read):
    """For uniform values the mean square is bound²/3, with relative standard error √(4/5)/√n."""
    torch.manual_seed(0)
    # 144 weights or more of 50 modules, 20 samples in all.
    module = [torch.nn.MultiheadAttention(WIDTH, 3, kdim=read, vdim=read) for _ in range(50)]
    layer = Attention(heads=3, init="torch_default")
    draw = PlainDraw(0)
    ours = layer.matrices([Shape(WIDTH, (2,)), Shape(read, (2,))])
    packed = [
        own.in_proj_weight.chunk(3)
        if read == WIDTH
        else (own.q_proj_weight, own.k_proj_weight, own.v_proj_weight)
        for own in module
    ]
    theirs = [*zip(*packed, strict=True), [own.out_proj.weight for own in module]]
    for weights, of_torch in zip(ours, theirs, strict=True):
        bound = math.sqrt(3.0 * weights.square_gain / weights.fan_in)
        one = np.array([part.detach().numpy() for part in of_torch])
        other = np.array([draw.rows(weights) for _ in module])
        assert one.shape == other.shape
        for values in (one, other):
            assert np.abs(values).max() <= bound * (1.0 + 1e-6)
            z = ((values**2).mean() * 3.0 / bound**2 - 1.0) * math.sqrt(values.size / 0.8)
            assert abs(z) < 4.5
    for own in module:
        assert not own.in_proj_bias.any()
        assert not own.out_proj.bias.any()
