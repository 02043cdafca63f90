"""Notes of a check: why theory ends, and which layers the rules that need it do not judge."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

import snstat
from snstat.checks.unjudged import unjudged
from snstat.network.network import Network
from snstat.results import GRADIENT, Statistic
from tests.checks.cases import dense

SAMPLING = {"batch": 8, "trials": 4}


def network(*layers):
    return Network.read({"name": "net", "input": {"channels": 16}, "layers": list(layers)})


def test_notes_say_each_reason_why_theory_ends_once():
    """Two ends of the signal, pairs of positions, and the rules that judge nothing without it."""
    grid = {"channels": 8, "grid": [600]}
    pool = {"kind": "max_pool", "size": 300}
    layers = [
        {"kind": "conv", "channels": 8, "kernel": 1, "name": "first"},
        pool | {"name": "pool"},
        {"kind": "instance_norm", "input": "first"},
        pool,
        {"kind": "add", "inputs": ["pool", "previous"]},
        {"kind": "flatten"},
    ]
    read = Network.read({"name": "net", "input": grid, "layers": [*layers, dense(16)]})
    found = snstat.check(read, batch=2, trials=2)
    ends = [note for note in found.notes if note.startswith("no theory")]
    signal = (
        "no theory from layer 2 (pool, max_pool) on: the law of a maximum is not one of a few"
        " moments; from layer 3 (2, instance_norm): a channel of one sample has too few values for"
        " its variance to be a number; measured values are judged"
    )
    assert ends == [signal, "no theory of pairs of positions: no layer needs so many pairs"]
    unknown = "theory does not know the gradients; use --backward"
    assert f"SN201 and SN202 judged only from layer 5 on: {unknown}" in found.notes
    assert f"SN203 not judged: {unknown}" in found.notes
    assert "SN403 not judged at 1 of 2 layers with several positions: no theory" in found.notes
    seen = snstat.check(read, batch=2, trials=2, backward=True)
    assert not any("SN201" in note for note in seen.notes)


def test_theory_that_ends_at_the_first_layer_ends_for_all():
    form = {"name": "net", "input": {"channels": 8, "grid": [8]}}
    layers = [{"kind": "max_pool", "size": 2}, {"kind": "flatten"}, dense(16)]
    found = snstat.check(Network.read(form | {"layers": layers}), **SAMPLING)
    (ends,) = [note for note in found.notes if note.startswith("no theory from")]
    assert ends.startswith("no theory from layer 1 (0, max_pool) on: ")


def test_samples_of_zeros_are_counted_where_there_are_others():
    data = np.random.default_rng(0).normal(size=(8, 16))
    data[3] = 0.0
    words = "12.50% of the samples are all zeros; the cosine leaves them out"
    assert words in snstat.check("tanh", 2, width=16, inputs=data, trials=4).notes
    for rows in (data[3:4], data[:3]):
        notes = snstat.check("tanh", 2, width=16, inputs=rows, trials=4).notes
        assert not any("zeros" in note for note in notes)


def test_rules_of_gradients_say_from_which_layer_on_they_judge():
    """Batch norm of three samples ends the way back."""
    layers = [dense(16), {"kind": "batch_norm"}, dense(16), dense(16)]
    found = snstat.check(network(*layers), batch=3, trials=2)
    words = "judged only from layer 2 on: theory does not know the gradients; use --backward"
    assert f"SN201, SN202 and SN203 {words}" in found.notes


def test_tokens_have_no_gradients_and_no_second_moments_to_miss():
    """Else rules would say of the input that theory does not know it."""
    form = {"name": "net", "input": {"tokens": 16, "grid": [4]}}
    layers = [{"kind": "embedding", "width": 8}, dense(8), {"kind": "flatten"}, dense(4)]
    found = snstat.check(Network.read(form | {"layers": layers}), **SAMPLING)
    judged = [note for note in found.notes if "judged" in note]
    assert [note.split(" not judged")[0] for note in judged] == ["SN104 and SN302"]
    pool = {"kind": "max_pool", "size": 3, "stride": 1, "padding": "same"}
    found = snstat.check(Network.read(form | {"layers": [*layers[:2], pool]}), **SAMPLING)
    assert "SN403 not judged at 1 of 3 layers with several positions: no theory" in found.notes
    assert any(note.startswith("no theory from layer 3 (2, max_pool) on: ") for note in found.notes)


def test_dropout_behind_the_end_of_theory_is_not_judged():
    drop = {"kind": "dropout", "rate": 0.5}
    relu = {"kind": "activation", "activation": "relu"}
    why = "theory does not know the cosine under two masks of dropout here"
    found = snstat.check(network(dense(16), relu, relu, drop, dense(16)), **SAMPLING)
    assert any(
        note.startswith("SN303") and note.endswith(f"not judged: {why}") for note in found.notes
    )
    found = snstat.check(network(dense(16), drop, relu, relu, dense(16)), **SAMPLING)
    assert "SN303 judged at layer 3, the last one that theory knows" in found.notes


def test_gradients_that_theory_knows_from_a_layer_on_are_compared_from_there():
    """Theory of gradients comes from the last layer back, and all else from the first one on."""
    last = np.array([np.nan, np.nan, np.nan, 0.5, 0.5, 0.5])
    first = np.array([1.0, 1.0, 1.0, np.nan, np.nan, np.nan])
    whole = np.ones(6)

    def statistic(expected):
        return Statistic(whole, whole, whole, expected=expected, neglected=0.0 * expected)

    statistics = {GRADIENT: statistic(last), "cosine": statistic(first)}
    run = SimpleNamespace(simulation=SimpleNamespace(trials=4), statistics=statistics)
    words = unjudged(SimpleNamespace(run=run, compares=True), ["SN501"])
    expected = "SN501 compares cosine with theory only up to layer 2"
    why = "how far theory may be off elsewhere is not known"
    assert words == f"{expected}, the gradient only from layer 3 on: {why}"
    run.statistics = {"cosine": statistic(np.full(6, np.nan))}
    words = unjudged(SimpleNamespace(run=run, compares=True), ["SN501"])
    why = "how far theory may be off is not known"
    assert words == f"SN501 compares cosine with theory in no layer: {why}"


def test_inputs_that_are_alike_have_no_difference_to_lose():
    note = "SN301 not judged: all inputs are alike"
    for rows, told in ((np.ones((8, 16)), True), (np.eye(8, 16), False)):
        found = snstat.check("relu", inputs=rows, depth=4, **SAMPLING)
        assert (note in found.notes) == told
