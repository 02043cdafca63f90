"""Traces of Keras models: rows, what a trace leaves alone, other backends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras")

import keras
from keras import layers

import snstat
from snstat.errors import SnstatError, UserCodeError
from snstat.sources.keras.layers import activation_of

pytestmark = pytest.mark.frameworks

PLAIN = keras.layers.Layer.__call__


class Block(layers.Layer):
    def __init__(self, width, **others):
        super().__init__(**others)
        self.first = layers.Dense(width, name="first")
        self.norm = layers.BatchNormalization(name="norm")
        self.drop = layers.Dropout(0.5, name="drop")

    def call(self, x, training=None):
        inner = self.norm(self.first(x), training=training)
        return x + self.drop(self.first(inner), training=training)


class Net(keras.Model):
    def __init__(self, width=8):
        super().__init__()
        self.blocks = [Block(width, name=f"block{number}") for number in range(2)]
        self.head = layers.Dense(3)

    def call(self, x, training=None):
        for block in self.blocks:
            x = block(x, training=training)
        return {"logits": self.head(x), "count": keras.ops.cast(keras.ops.sum(x) * 0, "int32")}


class Log(layers.Layer):
    def call(self, x):
        return keras.ops.log(x)


def names(run):
    return [row.name for row in run.module.rows]


@pytest.fixture(autouse=True)
def _nothing_stays_wrapped():
    yield
    assert keras.layers.Layer.__call__ is PLAIN


def traced(function, monkeypatch, **options):
    """Trace a function by its Python name."""
    monkeypatch.setattr(sys.modules[__name__], "built", function, raising=False)
    sys.modules["models_of_test"] = sys.modules[__name__]
    try:
        return snstat.trace("keras:models_of_test:built", **options)
    finally:
        del sys.modules["models_of_test"]


def test_rows_of_a_subclassed_model(monkeypatch):
    run = traced(Net, monkeypatch, inputs="Bx8", trials=3, set={"width": 8})
    inner = ["first#1", "norm", "first#2", "drop"]
    assert names(run)[:-1] == [
        *(f"block0.{name}" for name in inner), "block0",
        *(f"block1.{name}" for name in inner), "block1",
        names(run)[-2],
    ]  # fmt: skip
    assert names(run)[-1] == "Net.logits"
    assert [row.trials for row in run.module.rows] == [3] * len(run.module.rows)
    assert run.module.trials_of == "model"
    assert run.second_moment.stderr[1] > 0.0  # trials are independent models
    assert [(left.path, left.output, left.reason) for left in run.module.skipped] == [
        ("Net", ".count", "int32")
    ]
    again = traced(Net, monkeypatch, inputs="Bx8", trials=3, set={"width": 8})
    assert np.array_equal(run.second_moment.estimate, again.second_moment.estimate)
    assert np.array_equal(run.gradient.estimate, again.gradient.estimate)
    other = traced(Net, monkeypatch, inputs="Bx8", trials=3, set={"width": 8}, seed=1)
    assert not np.array_equal(run.second_moment.estimate, other.second_moment.estimate)


def test_leaves_and_globs(monkeypatch):
    run = traced(Net, monkeypatch, inputs="Bx8", trials=1, leaves=True, only=["block1*"])
    assert names(run) == ["block1.first#1", "block1.norm", "block1.first#2", "block1.drop"]
    with pytest.raises(SnstatError, match="a glob that matches the path of a module"):
        traced(Net, monkeypatch, inputs="Bx8", only=["conv*"])


def test_modes_and_dropout(monkeypatch):
    options = {"inputs": "Bx8", "trials": 1, "batch": 64, "only": ["block0.norm", "block0.drop"]}
    train = traced(Net, monkeypatch, **options)
    assert train.variance_over_batch.estimate[1] == pytest.approx(1.0, abs=1e-2)  # its epsilon
    evaluated = traced(Net, monkeypatch, **options, mode="eval")
    assert evaluated.variance_over_batch.estimate[1] != pytest.approx(1.0, abs=1e-2)
    kept = traced(Net, monkeypatch, **options, dropout="off")
    assert train.kurtosis.estimate[2] > 1.5 * kept.kurtosis.estimate[2]


def test_a_layer_within_two_models_has_one_path(monkeypatch):
    def built():
        shared, x = layers.Dense(8, name="shared"), keras.Input((8,))
        left = keras.Sequential([shared], name="left")
        right = keras.Sequential([shared, layers.ReLU(name="relu")], name="right")
        return keras.Model(x, right(left(x)))

    run = traced(built, monkeypatch, trials=2, batch=2)
    assert names(run) == [
        "left.shared#1",
        "left",
        "left.shared#2",
        "right.relu",
        "right",
        "Functional",
    ]
    assert run.module.notes == ("right.shared is the same module as left.shared",)


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (layers.ReLU(), "relu"),
        (layers.ReLU(max_value=6.0), ""),
        (layers.Dense(3, activation="tanh"), "tanh"),
        (layers.Activation("selu"), "selu"),
        (layers.LSTM(3, activation="tanh"), ""),
        (layers.Dropout(0.5), ""),
    ],
)
def test_the_activation_that_ends_a_layer(layer, name):
    assert activation_of(layer) == name


def test_layers_of_one_name_and_inputs_of_its_own(monkeypatch):
    class Twins(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = layers.Dense(8, name="dense"), layers.Dense(8, name="dense")

        def call(self, x):
            return self.two(self.one(x))

        def example_inputs(self):
            return ["Bx8"]

    run = traced(Twins, monkeypatch, trials=2)
    assert names(run) == ["dense", "dense_", "Twins"]
    assert run.module.inputs == {"x": "Bx8"}


def test_images_have_units_last():
    model = keras.Sequential(
        [keras.Input((6, 5, 3)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()]
    )
    run = snstat.trace(model, trials=1)
    axes = [row.axes for row in run.module.rows]
    assert (axes[0].sample, axes[0].position, axes[0].unit) == ((0,), (1, 2), (3,))
    assert (axes[1].sample, axes[1].position, axes[1].unit) == ((0,), (), (1,))
    assert run.module.inputs != {}


def test_a_model_as_it_is_is_left_as_it_was():
    model = Net()
    x = np.random.default_rng(0).standard_normal((4, 8), np.float32)
    model(x)
    before = [np.copy(variable.value.detach()) for variable in model.variables]
    run = snstat.trace(model, inputs=[x], batch=4, trials=2)
    assert run.module.trials_of == "inputs"
    assert np.isfinite(run.gradient.estimate).all()
    for variable, value in zip(model.variables, before, strict=True):
        assert np.array_equal(variable.value.detach().numpy(), value), variable.path
        assert variable.value.grad is None
    with pytest.raises(SnstatError, match="is not built yet; call it once"):
        snstat.trace(Net(), inputs="Bx8")


def test_an_exception_in_a_layer_leaves_nothing_wrapped(monkeypatch):
    class Failing(layers.Layer):
        def call(self, x, training=None):
            if training:  # and not when it is built
                raise RuntimeError("no")
            return x

    def built():
        return keras.Sequential([layers.Dense(4), Failing()])

    with pytest.raises(UserCodeError, match="raised RuntimeError"):
        traced(built, monkeypatch, inputs="Bx8")
    assert keras.layers.Layer.__call__ is PLAIN


class Refusing(layers.Layer):
    def call(self, x, training=None):
        if training:
            raise ValueError("no")
        return x


class Catching(keras.Model):
    """Goes on after a part failed, and makes a NaN by its own code."""

    def __init__(self):
        super().__init__()
        self.refusing, self.last = Refusing(name="refusing"), layers.Dense(8, name="last")

    def call(self, x, training=None):
        try:
            x = self.refusing(x, training=training)
        except ValueError:
            x = keras.ops.log(x)
        return self.last(x)


def test_a_part_that_failed_made_nothing(monkeypatch):
    run = traced(Catching, monkeypatch, inputs="Bx8", trials=1)
    assert names(run) == ["last", "Catching"]
    assert (run.module.nonfinite.path, run.module.nonfinite.before) == ("Catching", "last")
    assert run.module.not_called == ("refusing",)


def test_the_layer_that_makes_the_first_nan_is_named(monkeypatch):
    def built():
        return keras.Sequential([layers.Dense(8), Log(name="log"), layers.Dense(8, name="last")])

    found = traced(built, monkeypatch, inputs="Bx8").module.nonfinite
    assert (found.path, found.kind, found.inputs_finite, found.before) == ("log", "Log", True, None)

    class Inner(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = layers.Dense(8, name="one"), layers.Dense(8, name="two")

        def call(self, x):
            return self.two(keras.ops.log(self.one(x)))

    found = traced(Inner, monkeypatch, inputs="Bx8").module.nonfinite
    assert (found.path, found.before, found.inputs_finite) == ("Inner", "two", True)


MODELS = """
import keras
import numpy as np

def mlp():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5), keras.layers.ReLU()])
    model.set_weights([np.linspace(-1, 1, 30).reshape(6, 5), np.zeros(5)])
    return model
"""


@pytest.mark.skipif("not __import__('importlib').util.find_spec('jax')", reason="needs jax")
def test_another_backend(tmp_path):
    (tmp_path / "models.py").write_text(MODELS)
    found = {}
    for backend in ("torch", "jax"):
        result = subprocess.run(
            [sys.executable, "-m", "snstat", "trace", "keras:models:mlp", "--format", "json"],
            capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path,
            env=os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(Path.cwd())},
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        (found[backend],) = json.loads(result.stdout)["runs"]
    for one, other in zip(*(run["layers"] for run in found.values()), strict=True):
        assert one["name"] == other["name"] or one["kind"] == other["kind"]
        for name in ("second_moment", "cosine", "mean"):
            assert one[name]["estimate"] == pytest.approx(other[name]["estimate"], rel=1e-5)
    assert found["torch"]["layers"][2]["dead_fraction"]["estimate"] is not None
    assert "no gradients: Keras runs on jax" in found["jax"]["module"]["notes"][0]


def test_a_backend_that_is_missing_is_told_in_one_line(tmp_path):
    (tmp_path / "models.py").write_text(MODELS)
    result = subprocess.run(
        [sys.executable, "-m", "snstat", "trace", "keras:models:mlp"],
        capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path,
        env=os.environ | {"KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr == (
        "snstat: error: Keras runs on tensorflow, which is not installed; set KERAS_BACKEND to"
        " torch, jax or tensorflow\n"
    )
