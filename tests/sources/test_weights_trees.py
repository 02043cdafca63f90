"""Weights in trees: dataclasses of arrays, dicts of dicts, and files of several arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import snstat
from snstat.errors import InputFileError

RNG = np.random.default_rng(2)
ONE, TWO = RNG.standard_normal((40, 30)), RNG.standard_normal((20, 40)).astype(np.float32)


@dataclass
class Linear:
    weight: Any
    bias: Any
    activation: Any = np.tanh


@dataclass
class Model:
    layers: tuple[Linear, ...]
    scale: float = 1.0
    others: dict[str, Any] = field(default_factory=dict)


MODEL = Model((Linear(ONE, np.zeros(40)), Linear(TWO, None)), others={"table": ONE.T})


def test_a_dataclass_of_arrays_as_modules_of_equinox_are():
    found = snstat.weights(MODEL)
    assert [tensor.name for tensor in found.tensors] == [
        "layers[0].weight", "layers[1].weight", "others.table",
    ]  # fmt: skip
    # Functions, numbers and None are no weights.
    assert [(left.name, left.reason) for left in found.skipped] == [("layers[0].bias", "1-D")]
    (plain,) = snstat.weights({"weight": ONE}).tensors
    assert found.tensors[0].gain == plain.gain


def test_dicts_of_dicts_as_parameters_of_flax_are():
    found = snstat.weights({"params": {"Dense_0": {"kernel": ONE, "bias": np.zeros(30)}}})
    (tensor,) = found.tensors
    assert (tensor.name, tensor.layout, tensor.fan_in) == ("params.Dense_0.kernel", "jax", 40)


def test_several_arrays_in_one_file(tmp_path):
    path = tmp_path / "model.eqx"
    with path.open("wb") as file:
        for values in (ONE, np.zeros(40), np.int64(3), np.asfortranarray(TWO), np.empty((0, 4))):
            np.save(file, values)
    found = snstat.weights(path)
    assert [tensor.name for tensor in found.tensors] == ["0", "3"]
    reasons = [(left.name, left.reason) for left in found.skipped]
    assert reasons == [("1", "1-D"), ("2", "int64"), ("4", "no values")]
    for tensor, values in zip(found.tensors, (ONE, TWO), strict=True):
        (wanted,) = snstat.weights({"weight": values}).tensors
        assert tensor.gain == wanted.gain
        assert tensor.weight_sum == wanted.weight_sum


def test_a_file_that_ends_within_an_array_is_refused(tmp_path):
    path = tmp_path / "model.eqx"
    with path.open("wb") as file:
        np.save(file, ONE)
        np.save(file, TWO)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputFileError, match="is truncated"):
        snstat.weights(path)
    with path.open("wb") as file:
        np.save(file, ONE)
        np.save(file, np.array([print], object), allow_pickle=True)
    with pytest.raises(InputFileError, match="holds Python objects, which are never unpickled"):
        snstat.weights(path)
