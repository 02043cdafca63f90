"""The dense sampler in blocks: results do not depend on which thread computed which block."""

from __future__ import annotations

import numpy as np
import pytest
from numba import config

from snstat.engine import draws
from snstat.engine import simulate as module
from snstat.engine.dense import sampler as dense_sampler
from snstat.engine.dense.gradient import dense_gradient
from snstat.engine.dense.sampler import DenseSampler
from snstat.engine.kernels.team import new_team
from snstat.engine.sampler import quiet
from snstat.engine.simulate import simulate
from snstat.experiment.data import DataInputs
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.initialisers import INITIALISERS
from snstat.network.stack import Stack

# Plain Python takes milliseconds per weight matrix.
WIDTH, INPUT_WIDTH, BATCH = (20, 13, 3) if config.DISABLE_JIT else (40, 23, 5)
DEPTH = 2 if config.DISABLE_JIT else 4


@pytest.fixture
def small_blocks(monkeypatch):
    """Cut layers into several blocks, the last one short, each large enough for a thread."""
    monkeypatch.setattr(draws, "TILE_VALUES", 1)
    monkeypatch.setattr(draws, "MIN_ROWS", 7)
    monkeypatch.setattr(dense_sampler, "MIN_WORK", 1)


def build(init, depth=DEPTH, activation="selu"):
    return Stack.build(activation, depth, WIDTH, init=init, bias_std=0.2, input_width=INPUT_WIDTH)


def run(stack, threads, trials, **options):
    inputs = DrawnInputs("normal", INPUT_WIDTH, BATCH, 0.1, 1.0)
    options = {"seed": 3, "dtype": "float32", "sampler": "dense", **options}
    return simulate(stack, inputs, trials=trials, threads=threads, **options)


def sampler(stack, trials=1, threads=2):
    inputs = DrawnInputs("normal", stack.input_width, BATCH, 0.0, 1.0)
    return DenseSampler(stack, inputs, trials, 0, "float32", threads)


@pytest.mark.parametrize("trials", [1, 3])
# Without the compiler, indices are checked, which are those of both.
@pytest.mark.parametrize("dtype", ["float64"] if config.DISABLE_JIT else ["float32", "float64"])
@pytest.mark.parametrize("init", INITIALISERS)
@pytest.mark.usefixtures("small_blocks")
def test_results_do_not_depend_on_the_number_of_threads(init, dtype, trials):
    stack = build(init)
    one = run(stack, 1, trials, dtype=dtype, backward=True)
    for threads in (2, 5):
        other = run(stack, threads, trials, dtype=dtype, backward=True)
        np.testing.assert_array_equal(one.estimate, other.estimate)
        np.testing.assert_array_equal(one.stderr, other.stderr)
        np.testing.assert_array_equal(one.log_gradient, other.log_gradient)


@pytest.mark.skipif(
    bool(config.DISABLE_JIT), reason="layers large enough for threads need compiled kernels"
)
def test_sums_of_whole_layers_do_not_depend_on_the_number_of_threads():
    """Kernels compiled into another kernel may sum in another order than those called from
    Python."""
    stack = Stack.build("selu", 4, 1000)
    inputs = DrawnInputs("normal", 1000, 64, 0.0, 1.0)
    one, three = (
        simulate(stack, inputs, trials=8, seed=0, dtype="float32", sampler="dense", threads=threads)
        for threads in (1, 3)
    )
    np.testing.assert_array_equal(one.estimate, three.estimate)


@pytest.mark.parametrize("init", ["lecun_normal", "torch_default", "orthogonal"])
def test_blocks_change_rounding_only(init, request):
    stack = build(init, activation="gelu")
    whole = run(stack, 1, 2, dtype="float64", backward=True)
    request.getfixturevalue("small_blocks")
    cut = run(stack, 2, 2, dtype="float64", backward=True)
    # Rounding of float64 over a few layers.
    np.testing.assert_allclose(cut.estimate, whole.estimate, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(cut.log_gradient, whole.log_gradient, atol=1e-11)


@pytest.mark.usefixtures("small_blocks")
def test_threads_share_a_trial_only_if_they_would_be_idle():
    stack = build("lecun_normal")
    # Blocks of 7 units: three of them, or six.
    most = -(-WIDTH // 7)
    for trials, threads, members in (
        (1, 2, 2), (1, 50, most), (2, 4, 2), (3, 2, 2), (2, 3, 3), (1, 1, 1), (2, 2, 1), (4, 2, 1),
        (17, 2, 1),
    ):  # fmt: skip
        assert sampler(stack, trials, threads).members == members, (trials, threads)


def test_small_layers_are_not_split_over_threads():
    assert sampler(Stack.build(depth=2, width=128)).members == 1
    assert sampler(Stack.build(depth=2, width=1024)).members == 2


@pytest.mark.usefixtures("small_blocks")
def test_an_overflow_ends_a_trial_split_over_threads():
    stack = Stack.build("relu", 9, WIDTH, weight_gain=1e9, input_width=INPUT_WIDTH)
    one, two = run(stack, 1, 1, backward=True), run(stack, 2, 1, backward=True)
    assert not one.finite.all()
    np.testing.assert_array_equal(one.finite, two.finite)
    np.testing.assert_array_equal(one.estimate, two.estimate)
    assert np.isnan(one.log_gradient).all()
    assert np.isnan(two.log_gradient).all()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.usefixtures("small_blocks")
def test_an_interrupt_returns_the_layers_that_were_completed(threads):
    calls = []

    def interrupt(done):
        calls.append(done)
        if len(calls) == 2:
            raise KeyboardInterrupt

    measured = run(build("lecun_normal", depth=20_000), threads, 1, progress=interrupt)
    assert measured.interrupted
    layers = len(measured.finite)
    assert 1 <= layers < 20_001
    assert measured.finite.all()
    short = run(build("lecun_normal", depth=max(1, layers - 1)), threads, 1)
    np.testing.assert_array_equal(short.estimate[:layers], measured.estimate)


@pytest.mark.parametrize("init", ["lecun_normal", "orthogonal"])
@pytest.mark.usefixtures("small_blocks")
def test_after_a_stop_no_layer_counts_as_finished(init):
    network = sampler(build(init))
    out, finite = np.full((DEPTH + 1, 11), 7.0), np.zeros(DEPTH, np.bool_)
    network.begin(0, out[0])
    leader = new_team(1, np.ones(1, np.uint8))[0]

    def stopped(kernel, *arguments):
        with quiet():
            kernel(leader, *arguments)

    network.together = stopped
    network.advance(range(1), 1, out[1:][None], finite[None])
    assert (out[1:] == 7.0).all()
    assert not finite.any()
    assert network.done[0] == 0


@pytest.mark.parametrize("init", ["lecun_normal", "orthogonal"])
@pytest.mark.usefixtures("small_blocks")
def test_a_stopped_backward_pass_has_no_gradient(init):
    network = sampler(build(init))
    network.stop[0] = 1
    assert np.isnan(dense_gradient(network, 0)).all()


@pytest.mark.parametrize("init", ["lecun_normal", "orthogonal"])
@pytest.mark.usefixtures("small_blocks")
def test_the_backward_pass_can_be_stopped_at_any_segment(init, monkeypatch):
    network = sampler(build(init, depth=9))
    reached = []
    back = network.back

    def stop_at_the_second(way, stretch, z):
        reached.append(stretch.first)
        network.stop[0] = len(reached) == 2
        back(way, stretch, z)

    monkeypatch.setattr(network, "back", stop_at_the_second)
    assert np.isnan(dense_gradient(network, 0)).all()
    assert reached == [7, 4]  # of the segments 7 to 9, 4 to 6 and 1 to 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("init", ["lecun_normal", "torch_default", "orthogonal"])
@pytest.mark.usefixtures("small_blocks")
def test_the_backward_pass_is_the_same_however_much_is_kept(init, dtype, monkeypatch):
    """Pre-activations kept by the forward pass, or computed again by segments of two layers."""
    stack = build(init, depth=5)
    kept = run(stack, 2, 3, dtype=dtype, backward=True)
    monkeypatch.setattr(dense_sampler, "HISTORY_BYTES", 0)
    made_again = run(stack, 2, 3, dtype=dtype, backward=True)
    np.testing.assert_array_equal(kept.log_gradient, made_again.log_gradient)
    np.testing.assert_array_equal(kept.estimate, made_again.estimate)


@pytest.mark.parametrize("init", ["lecun_normal", "orthogonal"])
@pytest.mark.parametrize("std", [1e-19, 1e19])
def test_gradients_of_any_scale_are_kept_in_range(init, std):
    """Squared gradients grow or shrink by 10^38 in a layer, and float32 has no room for three."""
    options = {"weight_std": std} if init == "lecun_normal" else {"weight_gain": std}
    stack = Stack.build("identity", 3, 16, init=init, bias_std=0.0, **options)
    inputs = DrawnInputs("normal", 16, 3, 0.0, 1.0)
    # The activations are not finite, so the backward pass runs alone.
    network = DenseSampler(stack, inputs, 1, 0, "float32", 1)
    way = network.way(0)
    z = np.ones((3, 16, 3), np.float32)
    network.back(way, next(stack.stretches()), z)
    steps = np.diff(way.finish())
    # ‖Wᵀh‖² over ‖h‖² is std² χ²_16, whose ln is that of 16 within 2 except once in 10^5; or the
    # square of the gain.
    expected = -2 * np.log(std) - (np.log(16) if init == "lecun_normal" else 0.0)
    np.testing.assert_allclose(steps, expected, atol=2.0)


def test_tile_sizes_are_bounded():
    for fan_in, fan_out in (
        (1, 1),
        (3, 100),
        (4096, 4096),
        (10**5, 4096),
        (10**8, 10),
        (50, 10**6),
    ):
        rows = draws.tile_rows(fan_in, fan_out)
        assert min(16, fan_out) <= rows <= fan_out
        assert rows * fan_in <= max(draws.MOST_VALUES, 16 * fan_in)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_run_does_not_change_given_data(order, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_SECONDS", 0.0)
    for shape in ((3, 8), (1, 8)):
        data = np.asarray(np.random.default_rng(1).normal(size=shape), np.float32, order=order)
        before = data.copy()
        stack = Stack.build(depth=4, width=8)
        inputs = DataInputs("data", data, shape[0])
        simulate(stack, inputs, trials=2, seed=0, dtype="float32", sampler="dense", backward=True)
        np.testing.assert_array_equal(data, before)


@pytest.mark.parametrize(("width", "input_width", "batch", "threads", "at_once"), [
    (64, 64, 32, 1, 8),  # 2¹⁴ activations of a layer, 2¹¹ of each trial
    (64, 512, 32, 1, 1),
    (64, 2048, 32, 1, 1),  # one trial has more
    (2048, 64, 32, 1, 1),
    (512, 512, 64, 4, 1),  # a team has one trial at a time
])  # fmt: skip
def test_as_many_trials_share_a_call_as_have_few_activations(
    width, input_width, batch, threads, at_once
):
    stack = Stack.build("tanh", 3, width, input_width=input_width)
    inputs = DrawnInputs("normal", input_width, batch, 0.0, 1.0)
    network = DenseSampler(stack, inputs, 2, 0, "float32", threads)
    assert (network.members > 1) == (threads > 1)
    assert network.at_once == at_once
