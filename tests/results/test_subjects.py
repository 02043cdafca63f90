"""What a run or a check is of, and what its records say of that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snstat.results import (
    Check,
    DrawnLayers,
    GivenWeights,
    LayerSummary,
    NetworkSummary,
    Rows,
    Skipped,
    Spread,
    StackSummary,
    TensorWeights,
    Weights,
    WeightsSummary,
)
from tests.report.builders import make_check, make_run
from tests.traces import SUMMARY, make_traced_run


def drawn(first: int, last: int, units: int) -> DrawnLayers:
    return DrawnLayers(first, last, units, "relu", "normal", 0.1, "zero", 0.0)


STACK = StackSummary("relu", 5, 12, 3, "he_normal", 1.0, 0.0,
                     drawn=(drawn(1, 2, 12), drawn(3, 4, 7), drawn(5, 5, 2)))  # fmt: skip
NETWORK = NetworkSummary(
    "net",
    {"input": {"tokens": 50, "grid": [4]}},
    (LayerSummary("input", "input", (4,)), LayerSummary("embed", "embedding", (4, 6))),
)
GIVEN = GivenWeights("w.npz", "sha256:0", ("a",))


def test_units_of_a_stack_are_those_of_its_runs() -> None:
    assert [STACK.units(layer) for layer in range(6)] == [3, 12, 12, 7, 7, 2]
    # Older files do not say what was drawn.
    assert [replace(STACK, drawn=()).units(layer) for layer in (0, 1, 5)] == [3, 12, 12]


def test_rows_are_called_by_their_number_or_name() -> None:
    assert STACK.row(0) == LayerSummary("input", "input", (3,))
    assert STACK.row(3) == LayerSummary("3", "dense", (7,))
    assert NETWORK.row(1).name == "embed"
    assert (NETWORK.depth, NETWORK.row(1).units) == (1, 24)
    assert NETWORK.called == "net"
    assert replace(NETWORK, name="").called == "network"
    run = make_traced_run()
    assert [run.row(layer).name for layer in (0, 1, 5, 8)] == [
        "input", "conv1", "layer1.relu#2", "attention[1]",
    ]  # fmt: skip
    assert (run.call(0), run.call(1)) == (None, SUMMARY.rows[0])
    assert make_run().call(1) is None


def test_one_sampler_of_all_layers_is_named_in_each_but_the_input() -> None:
    run = make_run(depth=2)
    assert [run.row(layer).sampler for layer in range(3)] == [None, "dense", "dense"]
    assert replace(run, subject=NETWORK).row(1).sampler is None


@pytest.mark.parametrize(("subject", "stack", "network", "tokens", "given", "module"), [
    (STACK, STACK, None, 0, None, None),
    (NETWORK, None, NETWORK, 50, None, None),
    (dense := replace(NETWORK, form={"input": {"channels": 3}}, stack=STACK, weights=GIVEN),
     STACK, dense, 0, GIVEN, None),
    (SUMMARY, None, None, 0, None, SUMMARY),
])  # fmt: skip
def test_subjects_say_what_they_are(subject, stack, network, tokens, given, module) -> None:
    run = replace(make_run(depth=1), subject=subject)
    assert (run.stack, run.network, run.tokens) == (stack, network, tokens)
    assert (run.given, run.module, run.depth) == (given, module, subject.depth)
    assert make_check(subject=subject).weights is None
    assert hash(run) == hash(replace(run))


def test_a_check_of_weights_is_of_no_network() -> None:
    weights = WeightsSummary("w.npz", 2, 1, "selu", None)
    check = Check("w.npz", "sound", (), weights, None)
    assert check.weights is weights
    assert (check.stack, check.network, check.module, check.tokens) == (None, None, None, 0)


def test_a_run_is_read_by_field_and_by_layer() -> None:
    run = make_run(depth=9)
    assert run["simulation"] is run.simulation
    assert run["7"].layer == run.layers[7].layer == 7
    assert [layer.layer for layer in run.layers[2:8:3]] == [2, 5]
    with pytest.raises(KeyError, match="'10'"):
        run["10"]


def test_layers_of_a_module_have_the_trials_that_made_the_call() -> None:
    run = make_traced_run()
    assert run.trials_had.tolist() == [4, 4, 4, 4, 4, 3, 4, 4, 4, 4, 4]
    # An interrupted run has fewer layers than its network.
    assert replace(run, finite=run.finite[:7]).trials_had.tolist() == [4, 4, 4, 4, 4, 3, 4]
    assert make_run(depth=2, trials=5).trials_had.tolist() == [5, 5, 5]


def test_the_first_layer_that_is_not_finite() -> None:
    assert make_run(depth=9).first_nonfinite is None
    assert make_run(depth=9, nonfinite_from=4).first_nonfinite == 4


def test_tensors_are_found_by_name_and_files_are_called_without_their_folder() -> None:
    none, rows = Spread(None, None, None), Rows(0, ())
    tensors = tuple(
        TensorWeights(name, (2, 3), "float32", "torch", 3, 2, None, (), none, none, None, None,
                      None, rows, rows, rows)
        for name in ("a", "b")
    )  # fmt: skip
    weights = Weights("folder/w.npz", tensors, (Skipped("bias", "has one axis"),))
    assert weights.tensor("b") is tensors[1]
    with pytest.raises(KeyError, match="bias"):
        weights.tensor("bias")
    assert weights.called == "w.npz"
    assert replace(weights, file=None).called == "weights"
    assert weights.skipped[0].non_finite == 0
