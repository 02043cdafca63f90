"""The weights of modules of Equinox, and of files that it writes."""

from __future__ import annotations

import pytest

pytest.importorskip("equinox")

import equinox as eqx
import jax
import numpy as np

import snstat

pytestmark = pytest.mark.frameworks


def test_weights_of_a_module_and_of_its_file(tmp_path):
    model = eqx.nn.MLP(30, 20, 40, 2, key=jax.random.key(0))
    flat, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(model, eqx.is_array))
    places = {jax.tree_util.keystr(path).removeprefix("."): leaf for path, leaf in flat}
    found = snstat.weights(model)
    names = [tensor.name for tensor in found.tensors] + [left.name for left in found.skipped]
    assert sorted(names) == sorted(places)
    for tensor in found.tensors:
        assert tensor.shape == places[tensor.name].shape
        # Equinox draws U(−1/√fan_in, 1/√fan_in), as PyTorch does.
        assert "torch_default" in [scheme.name for scheme in tensor.schemes]
    eqx.tree_serialise_leaves(tmp_path / "model.eqx", model)
    saved = snstat.weights(tmp_path / "model.eqx")
    assert [tensor.gain for tensor in saved.tensors] == [tensor.gain for tensor in found.tensors]
    assert np.isfinite([tensor.gain for tensor in saved.tensors]).all()
