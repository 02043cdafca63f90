"""Traces of real modules with arrays of samples: which of them a trial takes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import snstat
from snstat import cli
from snstat.errors import InvalidValueError
from tests.peers.trace.models import mlp
from tests.peers.trace.tracing import trace

pytestmark = pytest.mark.peers

SEEN: list[tuple[list[float], list[float]]] = []


class Pair(nn.Module):
    """Keeps which samples both of its arguments are, if these are equal within a sample."""

    def forward(self, x, mask):
        SEEN.append((x[:, 0].tolist(), mask[:, 0].tolist()))
        return x * mask[:, :1]


class Offering(nn.Module):
    """Has samples of its own."""

    def example_inputs(self):
        return torch.arange(12.0).reshape(4, 3)

    def forward(self, x):
        return x


def numbered(samples, width):
    return np.repeat(np.arange(float(samples))[:, None], width, axis=1)


@pytest.mark.parametrize("target", [Pair, Pair()])
@pytest.mark.parametrize("array", [np.asarray, torch.from_numpy])
def test_every_trial_takes_its_own_samples_the_same_of_all_arrays(target, array):
    SEEN.clear()
    inputs = {"x": array(numbered(50, 3)), "mask": array(numbered(50, 2))}
    rows = trace(target, inputs, trials=20)
    found = SEEN[-20:]
    assert all(x == mask and len({*x}) == 8 for x, mask in found)
    assert len({tuple(x) for x, _ in found}) == 20
    for trial, (x, _) in enumerate(found):
        assert rows["input"]["mean"][trial] == pytest.approx(np.mean(x), rel=1e-14)


def test_all_samples_are_taken_if_the_batch_is_their_number():
    SEEN.clear()
    assert trace(Pair, [numbered(8, 3), numbered(8, 2)]).traced.batch == 8
    assert SEEN[-4:] == [([*range(8)], [*range(8)])] * 4


def test_samples_that_a_module_offers():
    run = snstat.trace(Offering())
    assert run.simulation.batch == 4
    assert run["input"].mean.estimate == pytest.approx(5.5, rel=1e-14)
    with pytest.raises(InvalidValueError, match="batch is 8, but must be at most 4"):
        snstat.trace(Offering(), batch=8)


def test_no_sample_counts_twice(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).standard_normal((4, 32)).astype(np.float32))
    run = snstat.trace(mlp, "x.npy", set={"width": 32, "depth": 2})
    x = np.load("x.npy").astype(float)
    unit = x / np.linalg.norm(x, axis=1)[:, None]
    pairs = [unit[i] @ unit[j] for i in range(4) for j in range(i)]
    assert run.simulation.batch == 4
    assert run["input"].cosine.estimate == pytest.approx(np.mean(pairs), rel=1e-12)
    target = f"{mlp.__module__}:{mlp.__name__}"
    assert cli.run(["trace", target, "--inputs", "x.npy", "--batch", "8"]) == 2
    words = "--batch is 8, but must be at most 4, the samples in the data; use --batch 4"
    assert words in capsys.readouterr().err


def test_read_only_and_reversed_arrays_are_taken_without_a_warning(tmp_path):
    x = numbered(16, 32)
    np.save(tmp_path / "x.npy", x)
    fixed = x.copy()
    fixed.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runs = [
            snstat.trace(mlp, inputs, batch=16, trials=1, set={"width": 32, "depth": 1})
            for inputs in (tmp_path / "x.npy", [fixed], [x[::-1]])
        ]
    assert [run["input"].mean.estimate for run in runs] == [7.5] * 3


def test_the_record_says_which_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).standard_normal((16, 32)).astype(np.float32)
    np.save("x.npy", x)
    options = {"set": {"width": 32, "depth": 2}, "trials": 2}
    run = snstat.trace(mlp, "x.npy", **options)
    assert run.simulation.inputs == "input=float32:Bx32 of x.npy"
    # The same content as the same file of another command.
    other = snstat.propagate("selu", inputs="x.npy", width=32, depth=1, trials=1)
    assert run.simulation.inputs_digest == other.simulation.inputs_digest
    for same in ([x], [torch.from_numpy(x)], [torch.from_numpy(x).double()]):
        assert snstat.trace(mlp, same, **options).simulation.inputs_digest == (
            run.simulation.inputs_digest
        )
    assert snstat.trace(Offering()).simulation.inputs_digest is None
    half = torch.ones(8, 32, dtype=torch.bfloat16)
    both = [
        snstat.trace(mlp, [v], **options).simulation.inputs_digest for v in (half, half.float())
    ]
    assert both[0] == both[1] is not None
    snstat.save(run, "base.json")
    assert snstat.load("base.json").simulation == run.simulation
    np.save("x.npy", x * np.float32(1.0 + 1e-6))
    check = snstat.check(mlp, inputs="x.npy", baseline="base.json", **options)
    told = "the content of input=float32:Bx32 of x.npy has changed"
    assert [note for note in check.notes if told in note]
