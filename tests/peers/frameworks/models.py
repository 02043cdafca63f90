"""One multilayer perceptron in four frameworks, with equal weights, and small ONNX graphs."""

from __future__ import annotations

import itertools
import math

import keras
import numpy as np
import onnx
import torch
from flax import nnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

SIZES = (12, 40, 24, 5)


def matrices():
    """Return the weights (in, out) and biases of every layer."""
    drawn = np.random.default_rng(7)
    return [
        (
            drawn.standard_normal((fan_in, fan_out), np.float32) / np.float32(math.sqrt(fan_in)),
            drawn.standard_normal(fan_out, np.float32) * np.float32(0.3),
        )
        for fan_in, fan_out in itertools.pairwise(SIZES)
    ]


def torch_mlp():
    parts = []
    for weights, bias in matrices():
        linear = nn.Linear(*weights.shape)
        linear.weight.data, linear.bias.data = torch.tensor(weights.T), torch.tensor(bias)
        parts += [linear, nn.Tanh()]
    return nn.Sequential(*parts[:-1])


def keras_mlp():
    parts = [keras.Input(SIZES[:1])]
    for weights, _ in matrices():
        parts += [keras.layers.Dense(weights.shape[1]), keras.layers.Activation("tanh")]
    model = keras.Sequential(parts[:-1])
    model.set_weights([values for pair in matrices() for values in pair])
    return model


class Tanh(nnx.Module):
    def __call__(self, x):
        return nnx.tanh(x)


def nnx_mlp():
    parts = []
    for weights, bias in matrices():
        linear = nnx.Linear(*weights.shape, rngs=nnx.Rngs(0))
        linear.kernel[...], linear.bias[...] = weights, bias
        parts += [linear, Tanh()]
    return nnx.Sequential(*parts[:-1])


def saved(path, nodes, weights, *, inputs=(("x", ("N", 12)),), output="y", **options):
    """Write a graph, and return its path as text."""
    declared = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        declared,
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path, **options)
    return str(path)


def onnx_mlp(path, **options):
    nodes, weights, last = [], {}, "x"
    for number, (matrix, bias) in enumerate(matrices()):
        weights |= {f"W{number}": np.ascontiguousarray(matrix.T), f"b{number}": bias}
        taken = [last, f"W{number}", f"b{number}"]
        nodes += [
            helper.make_node("Gemm", taken, [f"h{number}"], name=f"fc{number}", transB=1),
            helper.make_node("Tanh", [f"h{number}"], [f"a{number}"], name=f"tanh{number}"),
        ]
        last = f"a{number}"
    del nodes[-1]
    return saved(path, nodes, weights, output=nodes[-1].output[0], **options)
