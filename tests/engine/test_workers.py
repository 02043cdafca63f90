"""How many threads run the trials of a network: those that do not wait for each other's Python."""

import pytest

from snstat.engine.general import sample, workers
from snstat.experiment.inputs import DrawnInputs
from snstat.network.network import Network


@pytest.fixture(autouse=True)
def _cores(monkeypatch):
    monkeypatch.setattr(workers, "available_cores", lambda: 16)


def dense(width, times=4):
    layer = {"kind": "dense", "width": width, "activation": "relu"}
    block = {"kind": "block", "times": times, "layers": [layer]}
    return Network.read({"input": {"channels": width}, "layers": [block]})


def over_time(kind, width):
    cell = {"kind": kind, "width": width}
    return Network.read({"input": {"channels": width, "grid": [64]}, "layers": [cell]})


@pytest.mark.parametrize(("width", "batch"), [(16, 64), (64, 16), (256, 4)])
def test_short_kernels_run_on_one_thread(width, batch):
    for backward in (False, True):
        found = workers.workers(dense(width), batch, sampler="auto", backward=backward)
        assert found == 1


def test_long_kernels_run_on_all_cores():
    for backward in (False, True):
        assert workers.workers(dense(1024), 512, sampler="dense", backward=backward) == 16


def test_between_the_two_one_thread_for_each_time_of_python():
    # 256 × 256 weights that are drawn, 33 each, and multiplied, 1.3 for each of 64 samples; values
    # of 50; 5e5 for the call.
    work = 256 * 256 * (33.0 + 1.3 * 64) + 64 * 256 * 50.0 + 5.0e5
    assert workers.workers(dense(256), 64) == 1 + work // workers.STEP == 3
    # The way back has as many steps: 42 for a weight, 1.4 for its product, 45 for a value, 5.8e5.
    work += 256 * 256 * (42.0 + 1.4 * 64) + 64 * 256 * 45.0 + 5.8e5
    assert workers.workers(dense(256), 64, backward=True) == 1 + work // (2 * workers.STEP) == 4


def test_more_layers_of_the_same_are_no_reason_for_more_threads():
    assert {workers.workers(dense(256, times), 64) for times in (1, 10, 10_000)} == {3}


def test_a_matrix_that_is_not_drawn_is_less_work():
    drawn, free = (workers.workers(dense(1024), 8, sampler=own) for own in ("dense", "auto"))
    assert free == 1 < drawn


@pytest.mark.parametrize("kind", ["elman", "lstm", "gru"])
def test_every_time_of_a_recurrent_layer_is_a_step(kind):
    assert workers.workers(over_time(kind, 64), 8) == 1
    assert workers.workers(over_time(kind, 1024), 256) > 4


def test_a_layer_has_a_step_for_each_of_its_matrices():
    queries = Network.read(
        {"input": {"channels": 8, "grid": [4]}, "layers": [{"kind": "attention", "heads": 2}]}
    )
    (row,) = queries.rows()
    assert row.layer.steps(row.before) == 4
    (row,) = over_time("lstm", 8).rows()
    assert row.layer.steps(row.before) == 64 * 7 / 2


@pytest.mark.parametrize(("given", "used"), [(None, 1), (5, 5)])
def test_threads_that_are_asked_for_are_used(monkeypatch, given, used):
    asked = []

    def run(*_, threads, **__):
        asked.append(threads)

    monkeypatch.setattr(sample, "run_trials", run)
    inputs = DrawnInputs("normal", 16, 4, 0.0, 1.0)
    options = {"trials": 8, "seed": 0, "dtype": "float32"}
    sample.sample_network(dense(16), inputs, threads=given, **options)
    assert asked == [used]
