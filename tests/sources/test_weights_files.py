"""Every format of files of weights gives the values that were written."""

from __future__ import annotations

import json
import struct
import sys
from zipfile import ZipFile

import numpy as np
import pytest

import snstat
from snstat.errors import InvalidValueError, SnstatError
from snstat.sources.weights import npz_file
from snstat.sources.weights.dtypes import DTYPES
from snstat.sources.weights.layouts import fans_of, layout_of, matrix_of
from snstat.sources.weights.opening import open_weights
from snstat.sources.weights.tensor import Tensor
from tests.sources.files import npz, safetensors

RNG = np.random.default_rng(5)
VALUES = RNG.standard_normal((6, 8))


def values_of(path):
    """Return the values of every tensor of a file, widened, by name."""
    return {tensor.name: tensor.format.widen(tensor.read()) for tensor in open_weights(path)}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_safetensors_holds_what_was_written(tmp_path, dtype):
    path = tmp_path / "w.bin"  # the name does not matter
    array = VALUES.astype(dtype)
    path.write_bytes(safetensors({"b": array[0], "a": array}))
    found = values_of(path)
    assert list(found) == ["b", "a"]
    assert np.array_equal(found["a"], array)
    assert np.array_equal(found["b"], array[0])


def float_of(bits, exponents, fractions, bias):
    """Return the value of a small floating number, by its definition (no infinities, no NaN)."""
    sign, rest = bits >> (exponents + fractions), bits & (1 << (exponents + fractions)) - 1
    power, fraction = rest >> fractions, (rest & (1 << fractions) - 1) / 2**fractions
    size = 2.0 ** (power - bias) * (1 + fraction) if power else 2.0 ** (1 - bias) * fraction
    return -size if sign else size


@pytest.mark.parametrize(
    ("code", "raw", "form"),
    [
        ("BF16", np.uint16, (8, 7, 127)),
        ("F8_E4M3", np.uint8, (4, 3, 7)),
        ("F8_E5M2", np.uint8, (5, 2, 15)),
    ],
)
def test_types_that_numpy_lacks_are_read_bit_by_bit(tmp_path, code, raw, form):
    exponents, fractions, _ = form
    bits = np.arange(2 ** (1 + exponents + fractions), dtype=raw)
    # The largest exponent stands for infinity and NaN, in e4m3 only with all bits 1.
    rest = bits & (1 << (exponents + fractions)) - 1
    special = rest >= (1 << (exponents + fractions)) - (1 << fractions)
    if code == "F8_E4M3":
        special = rest == (1 << (exponents + fractions)) - 1
    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors({"a": bits.reshape(2, -1)}, codes={"a": code}))
    found = values_of(path)["a"].reshape(-1)
    expected = [float_of(int(b), *form) for b in bits[~special]]
    assert np.array_equal(found[~special], np.array(expected, dtype=np.float32))
    assert not np.isfinite(found[special]).any()


def test_npz_and_npy_hold_what_was_written(tmp_path):
    (tmp_path / "w.npz").write_bytes(npz({"a": VALUES, "b": VALUES.astype(np.float16)}))
    (tmp_path / "p.npz").write_bytes(npz({"a": VALUES}, packed=True))
    np.save(tmp_path / "one.npy", np.asfortranarray(VALUES))
    assert np.array_equal(values_of(tmp_path / "w.npz")["a"], VALUES)
    assert np.array_equal(values_of(tmp_path / "w.npz")["b"], VALUES.astype(np.float16))
    assert np.array_equal(values_of(tmp_path / "p.npz")["a"], VALUES)
    assert np.array_equal(values_of(tmp_path / "one.npy")["one"], VALUES)


def test_the_entries_of_an_npz_are_listed_once(tmp_path, monkeypatch):
    """However many arrays it has: the time of a list for each would grow with their square."""
    opened = []

    class Listed(ZipFile):
        def __init__(self, *arguments):
            opened.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(npz_file, "ZipFile", Listed)
    path = tmp_path / "w.npz"
    path.write_bytes(npz({f"a{number}": number * VALUES for number in range(20)}))
    found = values_of(path)
    assert np.array_equal(found["a17"], 17 * VALUES)
    assert len(found) == 20
    assert len(opened) == 1


@pytest.mark.parametrize("name", ["m.onnx", "M.ONNX"])
def test_onnx_is_told_by_the_end_of_its_name(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "onnx", None)
    (tmp_path / name).write_bytes(b"\x08\x08")
    with pytest.raises(SnstatError, match="reading ONNX needs onnx"):
        open_weights(tmp_path / name)


def test_an_index_joins_the_tensors_of_its_files(tmp_path):
    (tmp_path / "1.safetensors").write_bytes(safetensors({"a": VALUES}))
    (tmp_path / "2.safetensors").write_bytes(safetensors({"b": 2 * VALUES, "c": VALUES[0]}))
    places = {"a": "1.safetensors", "b": "2.safetensors", "c": "2.safetensors"}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}), "utf-8")
    found = values_of(index)
    assert list(found) == ["a", "b", "c"]
    assert np.array_equal(found["b"], 2 * VALUES)


def test_a_length_that_begins_like_a_zip_is_a_length(tmp_path):
    """The length of a header may spell PK."""
    length = int.from_bytes(b"PK\0\0\0\0\0\0", "little")
    entry = {"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}
    text = json.dumps(entry).encode().ljust(length)
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", length) + text + np.ones(4, np.float32).tobytes())
    assert np.array_equal(values_of(path)["a"], np.ones((2, 2)))


def test_what_is_no_matrix_of_numbers_is_named(tmp_path):
    path = tmp_path / "w.safetensors"
    bad = np.array([1.0, np.nan, np.inf])
    arrays = {"q": np.ones((2, 2), np.int8), "bias": bad, "empty": np.ones((0, 3)), "w": VALUES}
    path.write_bytes(safetensors(arrays))
    found = snstat.weights(path)
    assert [tensor.name for tensor in found.tensors] == ["w"]
    assert found.file == str(path)
    told = {entry.name: (entry.reason, entry.non_finite) for entry in found.skipped}
    assert told == {"q": ("int8", 0), "bias": ("1-D", 2), "empty": ("no values", 0)}


@pytest.mark.parametrize(
    ("layout", "shape", "fans"),
    [
        ("torch", (5, 7), (7, 5)),
        ("torch", (5, 7, 3, 2), (42, 30)),
        ("jax", (7, 5), (7, 5)),
        ("jax", (3, 2, 7, 5), (42, 30)),
    ],
)
def test_fans_of_a_shape(layout, shape, fans):
    found = fans_of(shape, layout)
    assert (found.fan_in, found.fan_out) == fans
    values = RNG.standard_normal(shape)
    matrix = matrix_of(values, layout)
    assert matrix.shape == (5, fans[0])
    # The second unit's weights, in any order.
    own = values[1] if layout == "torch" else values[..., 1]
    assert sorted(matrix[1]) == sorted(own.ravel())


def test_layouts_of_one_layer_agree():
    """A convolution of (out, in, 3, 3) and the same of (3, 3, in, out)."""
    values = RNG.standard_normal((12, 6, 3, 3)) / np.sqrt(54)
    turned = values.transpose(2, 3, 1, 0)
    (torch,) = snstat.weights({"conv.weight": values}).tensors
    for arrays, layout in (
        ({"conv.weight": np.ascontiguousarray(turned)}, "jax"),
        ({"conv.weight": turned}, "keras"),
        ({"conv/kernel:0": turned}, "auto"),
    ):
        (other,) = snstat.weights(arrays, layout=layout).tensors
        assert (other.fan_in, other.fan_out, other.layout) == (54, 108, "jax")
        assert {scheme.name for scheme in other.schemes} == {s.name for s in torch.schemes}
        for key in ("median", "low", "high"):
            assert other.weight_sum[key] == pytest.approx(torch.weight_sum[key], abs=1e-13)
        assert other.gain == pytest.approx(torch.gain, rel=1e-13)
        assert other.spectral_norm == pytest.approx(torch.spectral_norm, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("dense.kernel", "jax"),
        ("params/dense/kernel", "jax"),
        ("dense/kernel:0", "jax"),
        ("conv.weight", "torch"),
        ("kernel.weight", "torch"),
    ],
)
def test_names_tell_layouts(name, layout):
    tensor = Tensor(name, (2, 3), "float32", None)
    assert layout_of(tensor, "auto") == layout
    assert layout_of(tensor, "keras") == "jax"


def test_files_tell_layouts_before_names():
    tensor = Tensor("dense.kernel", (2, 3), "float32", None, layout="torch")
    assert [layout_of(tensor, wanted) for wanted in ("auto", "torch", "jax")] == [
        "torch", "torch", "jax",
    ]  # fmt: skip


def test_only_and_layout_say_what_they_want():
    arrays = {"a.weight": VALUES, "b.weight": VALUES}
    assert [t.name for t in snstat.weights(arrays, only=["b.*"]).tensors] == ["b.weight"]
    with pytest.raises(InvalidValueError, match="only"):
        snstat.weights(arrays, only=["c.*"])
    with pytest.raises(InvalidValueError, match="layout"):
        snstat.weights(arrays, layout="caffe")


def test_every_type_has_a_raw_form():
    assert {name: np.dtype(entry.raw).itemsize for name, entry in DTYPES.items()} == {
        "float64": 8,
        "float32": 4,
        "float16": 2,
        "bfloat16": 2,
        "float8_e4m3fn": 1,
        "float8_e5m2": 1,
    }
