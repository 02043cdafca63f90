"""Matrices of a file as a chain: their order, their biases, and what does not fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from snstat.errors import InputFileError, InvalidValueError
from snstat.sources.weights.chain import read_chain
from snstat.sources.weights.pairing import natural, stem_of
from tests.sources.files import safetensors


def matrix(units, fan_in, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal((units, fan_in)).astype(dtype)


def written(path, arrays):
    np.savez(path, **arrays)
    return path


def test_an_npz_keeps_its_order_and_safetensors_are_sorted_as_people_count(tmp_path):
    names = ["layers.10.weight", "layers.9.weight", "layers.1.weight"]
    arrays = {name: matrix(4, 4, seed) for seed, name in enumerate(names)}
    found = read_chain(written(tmp_path / "m.npz", arrays))
    assert found.record.tensors == tuple(names)
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors(arrays))
    assert read_chain(path).record.tensors == tuple(names[::-1])


def test_globs_choose_tensors_and_their_order():
    arrays = {"head.weight": matrix(2, 4), "a.weight": matrix(4, 4), "b.weight": matrix(4, 3)}
    found = read_chain(arrays, ["b.*", "a.*", "head.*"])
    assert found.record.tensors == ("b.weight", "a.weight", "head.weight")
    assert [(link.units, link.fan_in) for link in found.links] == [(4, 3), (4, 4), (2, 4)]


@dataclass
class Linear:
    weight: np.ndarray
    bias: np.ndarray


@dataclass
class Model:
    layers: list[Linear]


def test_a_tree_of_dataclasses_is_read_in_the_order_of_its_fields():
    model = Model([Linear(matrix(4, 3), np.ones(4)), Linear(matrix(2, 4), np.zeros(2))])
    found = read_chain(model)
    assert found.record.tensors == (
        "layers[0].weight", "layers[0].bias", "layers[1].weight", "layers[1].bias",
    )  # fmt: skip
    assert found.links[0].offsets.tolist() == [1.0] * 4


@pytest.mark.parametrize(
    ("weight", "bias"),
    [
        ("fc1.weight", "fc1.bias"),
        ("Dense_0/kernel", "Dense_0/bias"),
        ("W1", "b1"),
        ("w", "b"),
        ("layers.0.w", "layers.0.b"),
        ("dense/kernel:0", "dense/bias:0"),
        ("fc_weight", "fc_bias"),
        ("fc", "fc.bias"),
        ("weight_1", "bias_1"),
    ],
)
def test_a_bias_is_told_by_its_name(weight, bias):
    arrays = {"other.bias": np.zeros(1), bias: np.arange(3.0), weight: matrix(3, 3)}
    del arrays["other.bias"]
    (link,) = read_chain(arrays).links
    assert link.offsets.tolist() == [0.0, 1.0, 2.0]
    assert stem_of(weight) == stem_of(bias)


@pytest.mark.parametrize(
    ("name", "layer"), [("fc1.weight", "fc1"), ("w1", "w1"), ("weight", "weight"), ("fc", "fc")]
)
def test_a_layer_is_called_as_its_tensors(name, layer):
    (link,) = read_chain({name: matrix(2, 2)}).links
    assert link.name == layer


@pytest.mark.parametrize("names", [("fc1.weight", "fc2.bias"), ("W1", "b2"), ("rob", "rib")])
def test_other_names_share_nothing(names):
    assert stem_of(names[0]) != stem_of(names[1])


def test_numbers_in_names_may_have_any_number_of_digits():
    names = ["w" + "9" * 5000, "w10", "w9", "w009b"]
    assert sorted(names, key=natural) == ["w9", "w009b", "w10", names[0]]


@pytest.mark.parametrize("name", ["fc.weight", "fc.kernel"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_numbers_are_those_of_the_file(tmp_path, name, dtype):
    whole = matrix(3, 5, dtype=dtype)
    held = whole.T if name.endswith("kernel") else whole
    chain = read_chain(written(tmp_path / "m.npz", {name: held, "fc.bias": np.ones(3, dtype)}))
    (link,) = chain.links
    layer = link.read("float64")
    assert layer.weights.tolist() == whole.astype(np.float64).tolist()
    assert layer.biases.tolist() == [[1.0]] * 3
    np.testing.assert_allclose(link.sums, whole.astype(np.float64).sum(axis=1), atol=1e-12)
    np.testing.assert_allclose(link.squares, (whole.astype(np.float64) ** 2).sum(axis=1))
    assert link.gain == pytest.approx(np.sqrt(5 * np.mean(whole.astype(np.float64) ** 2)))


@pytest.mark.parametrize("layout", ["jax", "keras"])
def test_a_layout_may_be_asked_for(layout):
    arrays = {"w1": matrix(2, 3), "w2": matrix(3, 4)}
    found = read_chain(arrays, layout=layout)
    assert found.record.layout == layout
    assert [(link.units, link.fan_in) for link in found.links] == [(3, 2), (4, 3)]
    assert found.links[0].read("float32").weights.tolist() == arrays["w1"].T.tolist()
    with pytest.raises(InputFileError, match="does not fit"):
        read_chain(arrays)


def test_types_that_numpy_lacks_are_widened(tmp_path):
    path = tmp_path / "m.safetensors"
    raw = np.array([[0x3F80, 0xBF80], [0x4000, 0]], np.uint16)  # 1, −1; 2, 0
    path.write_bytes(safetensors({"w": raw}, codes={"w": "BF16"}))
    (link,) = read_chain(path).links
    assert link.read("float32").weights.tolist() == [[1.0, -1.0], [2.0, 0.0]]
    assert link.squares.tolist() == [2.0, 4.0]


def test_numbers_held_as_they_are_used_are_not_copied(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors({"w": matrix(64, 64)}))
    (link,) = read_chain(path).links
    values, above = link.read("float32").weights, []
    while values is not None:
        above.append(type(values))
        values = getattr(values, "base", None)
    assert np.memmap in above


def test_a_digest_tells_content_and_nothing_else(tmp_path):
    arrays = {"w1": matrix(3, 2), "b1": np.zeros(3, np.float32), "w2": matrix(4, 3)}
    own = read_chain(arrays).record.digest
    wide = {name: values.astype(np.float64) for name, values in arrays.items()}
    assert read_chain(written(tmp_path / "other.npz", wide)).record.digest == own
    found = {own}
    for change in (
        {"b1": np.array([0, 0, 1e-30], np.float32)},
        {"w1": arrays["w1"] * np.float32(1.001)},
        {"w2": arrays["w2"][::-1]},
        {"w2": matrix(5, 3)},
    ):
        found.add(read_chain(arrays | change).record.digest)
    del arrays["b1"]
    found.add(read_chain(arrays).record.digest)
    assert len(found) == 6


FIT = {"w1": matrix(3, 2), "w2": matrix(4, 3)}


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (FIT | {"w2": matrix(4, 5)}, ["w1 (3, 2) does not fit w2 (4, 5)", "3 units", "5 inputs"]),
        (FIT | {"b1": np.zeros(2)}, ["b1 (2,) is no bias of w1 (3, 2)"]),
        (FIT | {"b1": np.zeros(3, int)}, ["b1 (3,) is no bias of w1 (3, 2)"]),
        (FIT | {"norm.weight": np.ones(3)}, ["norm.weight (3,) is neither a matrix nor the bias"]),
        (FIT | {"c": np.ones((4, 4, 1))}, ["c (4, 4, 1) is no matrix"]),
        (FIT | {"q": np.ones((4, 4), np.int8)}, ["q (4, 4) is not read: int8"]),
        (FIT | {"e": np.ones((0, 4))}, ["e (0, 4) has a side outside 1 to"]),
        (FIT | {"s": np.float64(1.0)}, ["s () is neither a matrix nor the bias of one"]),
        ({"b": np.ones(3)}, ["b (3,) is neither"]),
        ({}, ["holds no matrix"]),
    ],
)
def test_what_does_not_fit_is_named_with_what_to_try(arrays, words):
    with pytest.raises(InputFileError) as caught:
        read_chain(arrays)
    text = str(caught.value)
    assert all(word in text for word in words)
    assert "choose tensors, and their order, with only" in text


@pytest.mark.parametrize(("name", "where"), [("w2", "row 2 of w2"), ("b1", "entry 2 of b1")])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(name, where, value):
    arrays = {key: values.copy() for key, values in FIT.items()} | {"b1": np.zeros(3)}
    arrays[name][2] = value
    with pytest.raises(InputFileError, match=where):
        read_chain(arrays)


def test_a_glob_without_a_match_and_what_is_no_file_are_refused(tmp_path):
    with pytest.raises(InvalidValueError, match="only is 'x'"):
        read_chain(FIT, ["x"])
    with pytest.raises(InvalidValueError, match="weights is 3"):
        read_chain(3)
    with pytest.raises(InputFileError):
        read_chain(tmp_path / "missing.npz")


def test_the_memory_of_all_matrices_is_told_before_they_are_read():
    chain = read_chain(FIT)
    assert chain.bytes("float32") == 4 * (6 + 12) + 8 * 12
    assert chain.bytes("float64") == 8 * (6 + 12) + 8 * 12
