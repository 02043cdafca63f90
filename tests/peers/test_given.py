"""Given weights beside PyTorch: the same module, its state dict, the same inputs and read-outs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import snstat
from snstat.engine.kernels import dense_backward
from snstat.engine.kernels.random import Draw
from tests.sources.files import safetensors

pytestmark = pytest.mark.peers
torch = pytest.importorskip("torch")

SEED, TRIALS, BATCH = 5, 3, 7


class Chain(torch.nn.Module):
    """Eleven layers, so that a sorted state dict would not be in their order."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [6, 8, *[8] * 9, 4]
        self.layers = torch.nn.ModuleList(
            [torch.nn.Linear(*pair, dtype=torch.float64) for pair in pairwise(sizes)]
        )

    def outputs(self, x):
        found = [x]
        for place, layer in enumerate(self.layers):
            z = layer(found[-1])
            found.append(z if place == len(self.layers) - 1 else torch.nn.functional.selu(z))
        for value in found[1:]:
            value.retain_grad()
        return found


@pytest.fixture(params=["dict", "pt", "safetensors"])
def model_and_weights(request, tmp_path):
    torch.manual_seed(0)
    model = Chain()
    if request.param == "dict":
        return model, model.state_dict()
    path = tmp_path / f"model.{request.param}"
    if request.param == "pt":
        torch.save(model.state_dict(), path)
    else:
        # The package sorts tensors by name: layers.10 before layers.2.
        state = sorted((name, value.numpy()) for name, value in model.state_dict().items())
        path.write_bytes(safetensors(dict(state)))
    return model, path


def test_a_module_and_its_state_dict_have_the_same_statistics(model_and_weights):
    model, weights = model_and_weights
    data = np.random.default_rng(1).standard_normal((BATCH, 6))
    run = snstat.propagate(
        "selu",
        weights=weights,
        last="linear",
        inputs=data,
        dtype="float64",
        trials=TRIALS,
        seed=SEED,
        backward=True,
    )
    logs = []
    for trial in range(TRIALS):
        r = np.empty((4, BATCH))
        dense_backward.read_out(r, Draw(np.uint64(SEED), trial, run.depth))
        x = torch.tensor(data, requires_grad=True)
        found = model.outputs(x)
        found[-1].backward(torch.tensor(r.T))
        squares = np.array([float((value.grad**2).sum()) for value in found])
        logs.append(np.log(squares / squares[-1]))
    np.testing.assert_allclose(np.log(run.gradient.estimate), np.mean(logs, axis=0), atol=1e-12)
    values = [value.detach().numpy() for value in found]
    expected = {
        "mean": [v.mean() for v in values],
        "variance": [v.var() for v in values],
        "variance_over_units": [v.var(axis=1).mean() for v in values],
        "variance_over_batch": [v.var(axis=0).mean() for v in values],
    }
    for name, own in expected.items():
        np.testing.assert_allclose(run.statistics[name].estimate, own, rtol=1e-12, atol=1e-14)
