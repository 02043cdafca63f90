"""Notes of a check: why theory ends, and which layers the rules that need it do not judge."""

from __future__ import annotations

import snstat
from snstat.network.network import Network
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


def test_rules_of_gradients_say_from_which_layer_on_they_judge():
    """Batch norm of three samples ends the way back."""
    layers = [dense(16), {"kind": "batch_norm"}, dense(16), dense(16)]
    found = snstat.check(network(*layers), batch=3, trials=2)
    words = "judged only from layer 2 on: theory does not know the gradients; use --backward"
    assert f"SN201, SN202 and SN203 {words}" in found.notes


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
