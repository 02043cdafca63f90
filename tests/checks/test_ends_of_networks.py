"""What is no fault of a network: few inputs and outputs, and layers that nothing reads."""

from __future__ import annotations

import pytest

import snstat

SAMPLING = {"batch": 8, "trials": 4}


def dense(width, **keys):
    return {"kind": "dense", "width": width} | keys


def network(*layers, channels, **keys):
    form = {"input": {"channels": channels} | keys, "layers": list(layers)}
    return snstat.Network.read(form)


def test_inputs_so_few_that_they_differ_are_no_fault_of_the_network():
    """The log of the square of one normal number has a deviation of √2 to first order."""
    for found in (
        snstat.check(network(dense(512), dense(512), channels=1), **SAMPLING),
        snstat.check("relu", widths="1,512*2", **SAMPLING),
    ):
        assert "SN502" not in {entry.code for entry in found.findings}
    # Behind the norm of one channel nothing is known of how much networks differ.
    found = snstat.check(network({"kind": "layer_norm"}, dense(4), channels=1), **SAMPLING)
    assert any("SN502 not judged" in note for note in found.notes)


@pytest.mark.parametrize("outputs", [1, 2])
def test_few_outputs_are_no_fault_of_the_network(outputs):
    """The second moment of one output is the square of a normal number, in networks of any width.
    What reads it, and layers that are narrow before the last one, count."""
    scale = {"kind": "scale", "factor": 2.0}
    codes = {
        name: {entry.code for entry in snstat.check(own, **SAMPLING).findings}
        for name, own in {
            "read-out": network(dense(512), dense(512), dense(outputs), channels=512),
            "scaled": network(dense(512), dense(outputs), scale, channels=512),
            "bottleneck": network(dense(512), dense(outputs), dense(512), channels=512),
            "narrow": network(*[dense(outputs)] * 3, channels=512),
        }.items()
    }
    assert [name for name, own in codes.items() if "SN502" in own] == ["bottleneck", "narrow"]
    for widths, broken in ((f"512*3,{outputs}", False), (f"512*2,{outputs},512", True)):
        found = snstat.check("relu", widths=widths, **SAMPLING)
        assert ("SN502" in {entry.code for entry in found.findings}) == broken


# Behind a max pool nothing is known, and what was seen is judged.
POOLED = (
    {"kind": "conv", "channels": 256, "kernel": 3, "activation": "relu"},
    {"kind": "max_pool", "size": 2},
    {"kind": "flatten"},
)


def test_few_outputs_are_no_fault_where_only_trials_tell():
    one = dense(1, activation="relu")
    for more, broken in (([one], False), ([one, dense(256)], True)):
        own = network(*POOLED, *more, channels=64, grid=[4])
        found = snstat.check(own, trials=64, batch=1)
        assert ("SN502" in {entry.code for entry in found.findings}) == broken


def test_a_layer_that_the_output_does_not_depend_on_is_named_and_has_no_gradient_that_vanishes():
    layers = [
        {**dense(64), "name": "a"}, {**dense(64), "name": "c"},
        {**dense(64), "input": "input"}, dense(64),
    ]  # fmt: skip
    found = snstat.check(network(*layers, channels=64), backward=True, **SAMPLING)
    assert found.verdict == "stable"
    words = "layer 1 (a, dense) and 1 more do not reach the output: no later layer starts from them"
    assert words in found.notes
    # Units that nothing reads, of a layer of which others are read.
    layers = [
        {**dense(64), "name": "a"}, {**dense(64), "input": "input", "name": "b"},
        {"kind": "concat", "inputs": ["a", "b"]}, {"kind": "slice", "start": 64, "stop": 128},
        dense(64),
    ]  # fmt: skip
    found = snstat.check(network(*layers, channels=64), backward=True, **SAMPLING)
    assert found.verdict == "stable"
    assert not any("reach the output" in note for note in found.notes)


def test_signs_of_one_unit_are_no_collapse():
    """In both trials the two samples have one sign, in one of four seeds or more."""
    own, alike = network(*POOLED, dense(1), channels=64, grid=[4]), 0
    for seed in range(16):
        run = snstat.propagate(own, batch=2, trials=2, seed=seed)
        alike += run.cosine.estimate[-1] == 1.0
        assert "SN301" not in {entry.code for entry in snstat.check(run).findings}
    assert alike
