"""Rows that merge samples with positions, in models of Flax NNX and Keras: read only where they
come sample by sample, whatever dropout does."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("flax")
pytest.importorskip("keras")

import keras
from flax import nnx

import snstat

pytestmark = pytest.mark.frameworks
TRANSPOSED = {"samples": (0, 1, 2), "times": (1, 0, 2)}


class FlattenedNnx(nnx.Module):
    def __init__(self, how, *, rngs):
        self.how, self.inner = how, nnx.Linear(8, 6, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        rows = x.transpose(TRANSPOSED[self.how]).reshape(-1, 8)
        return self.drop(self.inner(rows)).sum()


class FlattenedKeras(keras.Model):
    def __init__(self, how):
        super().__init__()
        self.how, self.inner, self.drop = how, keras.layers.Dense(6), keras.layers.Dropout(0.5)

    def call(self, x, training=False):  # noqa: FBT002
        rows = keras.ops.reshape(keras.ops.transpose(x, TRANSPOSED[self.how]), (-1, 8))
        return keras.ops.sum(self.drop(self.inner(rows), training=training))


def nnx_model(how, rngs):
    return FlattenedNnx(how, rngs=rngs)


def keras_model(how):
    model = FlattenedKeras(how)
    model(np.zeros((2, 5, 8), "float32"))
    return model


MODELS = {"nnx": nnx_model, "keras": keras_model}


@pytest.mark.parametrize("framework", MODELS)
@pytest.mark.parametrize("how", TRANSPOSED)
@pytest.mark.parametrize("builds", [True, False])
def test_rows_that_mix_samples_are_pooled(framework, how, builds, monkeypatch):
    if builds:
        import tests.peers.frameworks.models as module

        function = MODELS[framework]
        monkeypatch.setattr(module, "flattened", function, raising=False)
        target = f"{framework}:tests.peers.frameworks.models:flattened"
        run = snstat.trace(target, inputs="Bx5x8", trials=2, set={"how": how})
    else:
        model = keras_model(how) if framework == "keras" else nnx_model(how, nnx.Rngs(0))
        run = snstat.trace(model, inputs="Bx5x8", trials=2)
    assert len(run.module.rows) >= 2
    for row in run.module.rows:
        if len(row.shape) == 2:
            assert (row.axes is None) == (how == "times"), row.name
    known = np.isfinite(run.cosine.estimate[1:3])
    assert known.all() == (how == "samples")
    assert known.any() == (how == "samples")
    assert (run.second_moment.estimate[1:3] > 0).all()
