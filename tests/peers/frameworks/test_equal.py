"""The same network in all frameworks has the same statistics."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("keras")
pytest.importorskip("flax")
pytest.importorskip("onnxruntime")

import keras

import snstat
from snstat.sources.calls.seeds import READ_OUT, seed_of
from tests.engine import tensor_oracle
from tests.peers.frameworks import models

pytestmark = pytest.mark.frameworks

X = np.random.default_rng(3).standard_normal((16, models.SIZES[0]), np.float32)
OPTIONS = {"inputs": [X], "batch": 16, "trials": 1}
FORWARD = (
    "mean", "variance", "second_moment", "kurtosis", "variance_over_batch", "variance_over_units",
    "cosine",
)  # fmt: skip


def rows_of(run, *others):
    """Return the rows of layers, without the whole model, whose tensor is that of the last."""
    kept = [0, *(n for n, row in enumerate(run.module.rows, 1) if row.same_as is None)]
    return {name: getattr(run, name).estimate[kept] for name in (*FORWARD, *others)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    path = models.onnx_mlp(tmp_path_factory.mktemp("onnx") / "mlp.onnx")
    subjects = {
        "torch": models.torch_mlp(),
        "onnx": path,
        "keras": models.keras_mlp(),
        "flax": models.nnx_mlp(),
    }
    return {name: snstat.trace(subject, **OPTIONS) for name, subject in subjects.items()}


@pytest.mark.parametrize("framework", ["onnx", "keras", "flax"])
def test_forward_statistics_are_those_of_pytorch(runs, framework):
    # float32 sums of 40 products differ by about 40 units in the last place: 5e-6 of a value.
    wanted, found = rows_of(runs["torch"]), rows_of(runs[framework])
    for name in FORWARD:
        assert len(found[name]) == 6
        assert found[name] == pytest.approx(wanted[name], rel=1e-5, abs=1e-5), name
    assert runs[framework].module.framework == framework
    assert runs[framework].module.parameters == runs["torch"].module.parameters


@pytest.mark.parametrize("framework", ["torch", "onnx", "keras", "flax"])
def test_statistics_are_those_of_plain_loops(runs, framework):
    values = [X.astype(np.float64)]
    for weights, bias in models.matrices():
        values += [values[-1] @ weights + bias]
        values += [np.tanh(values[-1])]
    found = rows_of(runs[framework])
    for row, array in enumerate(values[:-1]):
        wanted = tensor_oracle.statistics(array, "SU")
        for name in FORWARD:
            assert found[name][row] == pytest.approx(wanted[name], rel=1e-5, abs=1e-5), (name, row)


def test_records(runs):
    for name, run in runs.items():
        module = run.module
        assert module.trials_of == "inputs"
        assert module.inputs != {}
        assert all(row.axes.found == "probed" for row in module.rows), name
    assert runs["onnx"].module.notes == ("no gradients: an ONNX file has no backward pass",)
    assert "gradient" not in runs["onnx"].statistics
    assert runs["keras"].module.framework_version.startswith(keras.__version__)


def plain_gradients(read_out):
    """Return the squared norms of the gradients at the input and after every layer, by hand."""
    activations, values = [], X.astype(np.float64)
    for weights, bias in models.matrices():
        activations.append(np.tanh(values @ weights + bias))
        values = activations[-1]
    gradient, squares = read_out, [np.sum(read_out**2)]
    for number, (weights, _) in reversed([*enumerate(models.matrices())]):
        gradient = gradient @ weights.T
        squares.append(np.sum(gradient**2))
        if number:
            gradient = gradient * (1.0 - activations[number - 1] ** 2)
            squares.append(np.sum(gradient**2))
    return np.array(squares[::-1])


@pytest.mark.parametrize("framework", ["keras", "flax"])
def test_gradients_are_those_of_plain_loops(runs, framework):
    found = rows_of(runs[framework], "gradient")["gradient"]
    generator = np.random.default_rng(seed_of(0, 0, READ_OUT))
    squares = plain_gradients(generator.standard_normal((16, models.SIZES[-1])))
    assert found == pytest.approx(squares / squares[-1], rel=1e-5)
