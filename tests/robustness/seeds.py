"""Valid files of every format that a command reads, as seeds for mutations."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np

import snstat
from snstat.files.saved import runs_to_json
from snstat.layers.block import Block
from snstat.layers.entry import Entry
from snstat.layers.registry import KINDS
from snstat.layers.scale import Scale
from snstat.network.input_law import InputLaw
from snstat.network.reading import Parts
from snstat.network.writing import text_of
from tests.layers.kinds import INPUTS, grids_of, layer_of, shape_of
from tests.sources.files import npz, safetensors


def saved_runs() -> Iterator[bytes]:
    """Yield JSON documents of `snstat propagate`: plain, with gradients, of any layers, ..."""
    small = {"width": 4, "batch": 3, "trials": 2}
    plain = snstat.propagate("selu", 2, **small)
    backward = snstat.propagate("relu", 2, backward=True, dtype="float64", **small)
    broken = snstat.propagate("identity", 3, weight_gain=1e30, **small)
    biased = snstat.propagate("tanh", 1, init="torch_default", inputs="uniform", **small)
    dense = {"kind": "dense", "width": 4, "activation": "relu"}
    layers = [{"kind": "residual", "name": "body", "layers": [{"kind": "rms_norm"}, dense]}]
    form = {"name": "net", "input": {"channels": 4}, "layers": layers}
    mixed = snstat.propagate(snstat.Network.read(form), batch=3, trials=2, backward=True)
    chain = {"w1": np.ones((4, 3)), "b1": np.ones(4), "w2": np.eye(4)}
    given = snstat.propagate("tanh", weights=chain, batch=3, trials=2, backward=True)
    for runs in ([plain], [backward], [broken], [biased], [plain, backward], [mixed], [given]):
        yield "".join(runs_to_json(runs)).encode()


def _array() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(6, 5)).astype(np.float32)


def weights_files() -> Iterator[bytes]:
    """Yield files of weights: several types and layouts, safetensors and npz."""
    array = _array()
    arrays = {"fc.weight": array, "conv/kernel": array.reshape(3, 1, 2, 5), "bias": array[0]}
    yield safetensors(arrays)
    yield safetensors({"a": array.astype(np.float16), "q": array.astype(np.int8)})
    codes = {"b": "BF16", "f": "F8_E4M3"}
    raw = np.arange(30, dtype=np.uint16).reshape(5, 6)
    yield safetensors({"b": raw, "f": raw.astype(np.uint8)}, codes=codes)
    yield npz(arrays)
    yield safetensors({"w1": array, "b1": array[:, 0], "w2": array.T})


def npy_files() -> Iterator[bytes]:
    """Yield .npy files with different byte orders, axis orders, dtypes and format versions."""
    array = _array()
    for entry in (
        array,
        np.asfortranarray(array),
        array.astype(">f8"),
        array.astype(np.float16),
        (array > 0).astype(np.uint8),
        array > 0,
    ):
        file = io.BytesIO()
        np.save(file, entry)
        yield file.getvalue()
    for version in ((2, 0), (3, 0)):
        file = io.BytesIO()
        np.lib.format.write_array(file, array, version)
        yield file.getvalue()


def npz_files() -> Iterator[bytes]:
    """Yield .npz files: stored and compressed, with one array and with several."""
    for save in (np.savez, np.savez_compressed):
        for arrays in ({"x": _array()}, {"inputs": _array(), "labels": np.arange(6)}):
            file = io.BytesIO()
            save(file, **arrays)
            yield file.getvalue()


def configurations() -> Iterator[bytes]:
    """Yield configurations of `snstat check`, small enough to simulate quickly."""
    small = "depth = 2\nwidth = 3\nbatch = 2\ntrials = 2\n"
    yield f"[check]\n{small}".encode()
    yield f"[check]\n{small}\n[check.one]\nactivation = 'relu'\n[check.\"two\"]\nseed=1".encode()
    target = "target-mean = 0.0\ntarget-variance=1\n"
    yield f"[check]\n{small}ignore = ['SN1', 'SN202']\n{target}".encode()
    yield f"[check]\n{small}[check.a]\nnumber_format='float16' # é\nbackward = true\n".encode()


def networks() -> Iterator[bytes]:
    """Yield network files: every registered kind, and every key of a file."""
    for name in KINDS:
        entries = (Entry(layer_of(name), (0,) * INPUTS.get(name, 1)), Entry(Scale(0.5), (1,)))
        shape = shape_of(name, grids_of(name)[0])
        law = InputLaw() if shape.tokens else InputLaw("uniform", 0.5)
        yield text_of(Parts(name, shape, law, Block(entries))).encode()
    yield NETWORK.encode()


NETWORK = """\
name = "encoder" # é
input = { channels = "=width", grid = [8], kind = "uniform", mean = 0.5, std = 2 }
times = 2
[parameters]
blocks = 12
width = 6
function = "gelu"
[defaults]
dense = { init = "lecun_normal", weight_std = "=1/sqrt(width)" }
[[layers]]
kind = "block"
name = "body"
times = "=blocks"
layers = [
  { kind = "dense", name = "up", width = "=4*width", activation = "=function" },
  { kind = "dense", input = "up", width = "=width", weight_gain = 1.5, bias_std = 0.1 },
  { kind = "block", layers = [ { kind = "scale", factor = "=2**-0.5" } ] },
]
[[layers]]
kind = "scale"
input = "previous"
[[layers]]
kind = "dense"
inputs = ["body"]
width = 3
"""
