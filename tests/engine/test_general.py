"""The general sampler: uniform stacks against the dense sampler, other networks against numpy."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from numba import config
from scipy import stats

from snstat.engine.general import sampler as general
from snstat.engine.general.draw import LayerDraw
from snstat.engine.general.gradient import general_gradient
from snstat.engine.general.order import Order, places
from snstat.engine.general.sample import sample_network
from snstat.engine.general.sampler import General, Walk
from snstat.engine.general.workshop import Workshop
from snstat.engine.history import OBJECTS
from snstat.engine.kernels.random import READOUT, STANDARD, Draw, draw_rows
from snstat.engine.simulate import simulate
from snstat.errors import InvalidValueError
from snstat.experiment.data import DataInputs
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.activation import Activation
from snstat.layers.block import Block
from snstat.layers.conv import Conv
from snstat.layers.dense import Dense
from snstat.layers.draw import Pass
from snstat.layers.entry import Entry
from snstat.layers.initialisers import INITIALISERS
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.network.network import Network
from snstat.network.stack import Stack
from snstat.results import MEASURED, STATISTICS
from tests.engine import oracle
from tests.engine.oracle import philox
from tests.layers.plain_draw import PlainDraw
from tests.layers.untold import Untold

ALARM = 1e-4
TRIALS = 4000
DEAD, SATURATED = MEASURED.index("dead_fraction"), MEASURED.index("saturated_fraction")
OVER_UNITS = MEASURED.index("variance_over_units")


def inputs_of(network, batch=5, mean=0.1, std=1.0):
    return DrawnInputs("normal", network.input.units, batch, mean, std)


def network_of(*layers, width=6, grid=()):
    """Return a network of layers in order; an Entry may start from others."""
    entries = [entry if isinstance(entry, Entry) else Entry(entry) for entry in layers]
    return Network(Shape(width, grid), Block(tuple(entries)))


def run(network, *, trials=3, seed=0, dtype="float64", inputs=None, **options):
    options = {"sampler": "dense", "seed": seed, "dtype": dtype} | options
    return sample_network(network, inputs or inputs_of(network), trials=trials, **options)


class Sum(Untold):
    """The sum of all inputs, to make branches meet."""

    kind = "sum"

    def shape(self, inputs):
        return inputs[0]

    def sample(self, inputs, draw):  # noqa: ARG002
        return Pass(sum(inputs), lambda slope: (slope,) * len(inputs))


class Masked(Untold):
    """Units that are kept with probability 3/4."""

    kind = "masked"

    def shape(self, inputs):
        return inputs[0]

    def sample(self, inputs, draw):
        mask = draw.uniform(inputs[0].shape) < 0.75
        return Pass(mask * inputs[0], lambda slope: (mask * slope,))


class Product(Untold):
    """The product of two matrices with the input, unit by unit: a layer that draws twice."""

    kind = "product"

    def shape(self, inputs):
        return inputs[0]

    def sample(self, inputs, draw):
        weights = Dense(len(inputs[0])).at(len(inputs[0]))
        one, other = (draw.linear(inputs[0], weights) for _ in range(2))

        def pull(slope):
            (first,) = one.pull(slope * other.values)
            (second,) = other.pull(slope * one.values)
            return (first + second,)

        return Pass(one.values * other.values, pull)


class Halved(Scale):
    """Half of the input, whose pull-back keeps the input."""

    def sample(self, inputs, draw):
        values = super().sample(inputs, draw).values / 2.0
        return Pass(values, lambda slope: (slope / 2.0 + 0.0 * inputs[0],))


# A network with a branch (two layers start from the same one), a block within a block that repeats,
# and layers that draw more than once.
BRANCHED = network_of(
    Dense(6, "tanh", bias_std=0.3),
    Entry(Dense(6, "selu"), (1,)),
    Entry(Block((Entry(Dense(6, "gelu")), Entry(Block((Entry(Scale(1.1)),), 2))), 3), (1,)),
    Entry(Sum(), (2, 3, 0)),
    Product(),
    Masked(),
    Dense(4, init="lecun_normal"),
)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("init", INITIALISERS)
def test_a_uniform_stack_is_the_network_of_the_dense_sampler(init, dtype):
    stack = Stack.build("selu", widths="13,20*3,9,14", init=init, bias_std=0.2, last="tanh")
    inputs = DrawnInputs("normal", 13, 5, 0.1, 1.0)
    options = {"trials": 3, "seed": 4, "dtype": dtype, "backward": True, "keep_trials": True}
    options["sampler"] = "dense"
    dense = simulate(stack, inputs, **options)
    found = sample_network(Network.of(stack), inputs, **options)
    assert found.finite.all()
    # Statistics of equal values are summed in float64, in another order.
    np.testing.assert_allclose(found.values, dense.values, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found.log_kurtosis, dense.log_kurtosis, rtol=1e-11)
    # Gradients are scaled at other layers: some roundings of the dtype in each of five layers.
    allowed = 5 * 16 * np.finfo(dtype).eps
    np.testing.assert_allclose(found.log_gradient, dense.log_gradient, atol=allowed)


@pytest.mark.parametrize("gain", [1e-9, 1e9])
def test_gradients_of_any_size_are_those_of_the_dense_sampler(gain):
    """They leave float32 within a few layers, forward values do not: weights of the last are small
    or large in turn."""
    inverse = Dense(6, "identity", init="lecun_normal", weight_gain=1.0 / gain)
    layers = [Dense(6, "identity", init="lecun_normal", weight_gain=gain), inverse] * 3
    plain = [Dense(6, "identity", init="lecun_normal")] * 6
    scaled, unit = (
        run(network_of(*own), dtype="float32", backward=True) for own in (layers, plain)
    )
    steps = np.array([0, 2, 0, 2, 0, 2, 0]) * math.log(gain)
    # log_gradient of layer l has the gains of all layers after it.
    np.testing.assert_allclose(scaled.log_gradient + steps, unit.log_gradient, atol=1e-4)


@pytest.mark.parametrize("sources", [(2, 0), (0, 2)])
def test_gradients_of_different_size_are_added(sources):
    """Scaled by 1e14 and back, the gradient of a branch equals that of the shortcut."""
    network = network_of(Scale(1e-14), Scale(1e14), Entry(Sum(), sources))
    found = run(network, dtype="float32", backward=True).log_gradient
    expected = [math.log(4.0), 28.0 * math.log(10.0), 0.0, 0.0]
    np.testing.assert_allclose(found, [expected] * 3, atol=1e-5)


def test_a_pair_of_functions_is_called():
    pair = (np.tanh, lambda x: 1.0 - np.tanh(x) ** 2)
    named, called = (
        run(network_of(Dense(7, phi, init="glorot_normal"), Dense(5, phi, init="glorot_normal")),
            backward=True)
        for phi in ("tanh", pair)
    )  # fmt: skip
    np.testing.assert_allclose(called.estimate[:, :DEAD], named.estimate[:, :DEAD], rtol=1e-9)
    np.testing.assert_allclose(called.log_gradient, named.log_gradient, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_layer_at_every_position_is_a_layer_of_more_samples(dtype):
    """The same weights act on all positions: their numbers do not depend on the grid."""
    layers = (Dense(7, "relu", bias_std=0.5), Dense(4, "tanh"))
    inputs = np.random.default_rng(1).normal(size=(3, 2 * 5, 6))
    grid = network_of(*layers, grid=(2, 5))
    sampler = General(grid, DataInputs("grid", inputs.reshape(3, -1), 3), 1, 0, dtype, train=True)
    flat = General(
        network_of(*layers), DataInputs("flat", inputs.reshape(-1, 6), 30), 1, 0, dtype, train=True
    )
    out = np.empty((1, 3, len(MEASURED)))
    alone = np.empty_like(out)
    for network, own in ((sampler, out), (flat, alone)):
        network.begin(0, own[0, 0])
        network.advance(range(1), 1, own[:, 1:], np.empty((1, 2), bool))
    for name in ("mean", "second_moment", "variance", "kurtosis", "dead_fraction",
                 "variance_over_units"):  # fmt: skip
        column = MEASURED.index(name)
        np.testing.assert_allclose(out[..., column], alone[..., column], rtol=1e-5)
    (walk,) = sampler._walks
    values = walk.values[2]
    assert values.shape == (4, 3, 2, 5)
    # Units are channels at positions; the variance over units is within positions.
    units = np.moveaxis(values, 1, 0).reshape(3, -1)
    for name, value in oracle.statistics(units, math.nan).items():
        if name not in ("variance_over_units", "dead_fraction", "saturated_fraction"):
            assert out[0, 2, MEASURED.index(name)] == pytest.approx(value, rel=1e-5), name
    assert out[0, 2, OVER_UNITS] == pytest.approx(values.var(axis=0).mean(), rel=1e-5)


def plain_statistics(network, inputs, trials):
    """Return mean and second moment of every layer (trials, layers, 2), by numpy."""
    found = np.empty((trials, network.depth, 2))
    for trial in range(trials):
        draw = PlainDraw(trial)
        values = {0: inputs.sample(trial, 99, "float64")}
        for place in places(network.block):
            given = [values[source] for source in place.sources]
            values[place.number] = place.layer.sample(given, draw).values
            moments = values[place.number].mean(), (values[place.number] ** 2).mean()
            found[trial, place.number - 1] = moments
    return found


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="thousands of trials need compiled kernels")
@pytest.mark.parametrize("init", ["lecun_normal", "lecun_truncated", "orthogonal", "torch_default"])
def test_a_network_has_the_law_of_plain_numpy(init):
    """Means over trials differ by standard errors, at every layer and for two statistics."""
    network = network_of(
        Dense(6, "selu", init=init, bias_std=0.3), Entry(Masked(), (1,)), Entry(Sum(), (2, 0)),
        Product(), Activation("relu"), Dense(3, init=init),
    )  # fmt: skip
    inputs = inputs_of(network)
    found = run(network, trials=TRIALS, keep_trials=True).values[:, 1:]
    plain = plain_statistics(network, inputs, 2000)
    columns = [MEASURED.index("mean"), MEASURED.index("second_moment")]
    own = found[:, :, columns]
    error = np.hypot(own.std(axis=0) / math.sqrt(len(own)), plain.std(axis=0) / math.sqrt(2000))
    z = (own.mean(axis=0) - plain.mean(axis=0)) / error
    # 4000 trials of heavy-tailed products: normal to about the fourth standard deviation.
    assert np.abs(z).max() < stats.norm.isf(ALARM / z.size / 2)


def scalar(network, number, at, values, seed):
    """Return Σ r·y and the numbers of values, after `values` takes the place of layer `at`'s."""
    sampler = General(network, inputs_of(network), number + 1, seed, "float64", train=True)
    known = {0: sampler.first(number)}
    sampler_walk = general.Walk(sampler, number, dict(known))
    while True:
        if at in sampler_walk.values and values is not None:
            sampler_walk.values[at] = values
        if network.depth in sampler_walk.values:
            break
        sampler_walk.step()
    y = sampler_walk.values[network.depth]
    r = np.empty_like(y)
    draw_rows(r, 0, STANDARD, READOUT, Draw(np.uint64(seed), number, network.depth))
    return float((r * y).sum())


def values_of(network, number, at, seed):
    sampler = General(network, inputs_of(network), number + 1, seed, "float64", train=True)
    walk = general.Walk(sampler, number, {0: sampler.first(number)})
    for _ in range(at):
        walk.step()
    return walk.values[at]


@pytest.mark.parametrize("kept", [True, False])
def test_gradients_are_finite_differences(kept, monkeypatch):
    """At every layer of a network with branches, by central differences: their error is of second
    order, 1e-10 for a step of 1e-5."""
    if not kept:
        monkeypatch.setattr(general, "HISTORY_BYTES", 0)
    trial, seed, step = 1, 3, 1e-5
    found = run(BRANCHED, trials=2, seed=seed, backward=True).log_gradient[trial]
    squares = []
    for at in range(BRANCHED.depth + 1):
        values = values_of(BRANCHED, trial, at, seed)
        total = 0.0
        for index in np.ndindex(values.shape):
            ends = []
            for sign in (1.0, -1.0):
                moved = values.copy()
                moved[index] += sign * step
                ends.append(scalar(BRANCHED, trial, at, moved, seed))
            total += ((ends[0] - ends[1]) / (2.0 * step)) ** 2
        squares.append(total)
    assert np.exp(found) == pytest.approx(np.array(squares) / squares[-1], rel=1e-6)


def test_a_layer_without_part_in_the_output_has_no_gradient():
    network = network_of(Dense(6, "tanh"), Entry(Dense(6, "tanh"), (0,)))
    gradient = run(network, backward=True).log_gradient
    assert (gradient[:, 1] == -math.inf).all()
    assert (gradient[:, 2] == 0.0).all()
    assert np.isfinite(gradient[:, 0]).all()


def test_numbers_do_not_depend_on_threads_or_on_what_is_kept(monkeypatch):
    one = run(BRANCHED, trials=5, threads=1, backward=True, dtype="float32")
    for threads, kept in ((3, 2**28), (1, 0), (2, 0)):
        monkeypatch.setattr(general, "HISTORY_BYTES", kept)
        other = run(BRANCHED, trials=5, threads=threads, backward=True, dtype="float32")
        np.testing.assert_array_equal(one.estimate, other.estimate)
        np.testing.assert_array_equal(one.log_gradient, other.log_gradient)
    more = run(BRANCHED, trials=7, seed=0, dtype="float32", keep_trials=True)
    np.testing.assert_array_equal(more.values[:5].mean(axis=0), one.estimate)


def test_an_interrupt_returns_the_layers_that_all_trials_completed():
    layer = Block((Entry(Dense(4, "tanh")), Entry(Sum(), (1, 0)), Entry(Scale(0.5))), 10**6)
    calls = []

    def interrupt(done):
        calls.append(done)
        if len(calls) == 2:
            raise KeyboardInterrupt

    measured = run(network_of(layer, width=4), progress=interrupt, backward=True)
    assert measured.interrupted
    assert measured.log_gradient is None
    layers = len(measured.finite)
    assert 1 <= layers < 10**6
    assert measured.finite.all()
    assert np.isfinite(measured.estimate[:, 0]).all()


def test_progress_counts_every_layer_of_every_trial():
    seen = []
    run(BRANCHED, trials=2, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 2 * BRANCHED.depth


def test_layers_after_one_that_is_not_finite_are_missing():
    network = network_of(*[Scale(1e9)] * 9)
    seen = []
    measured = run(network, dtype="float32", backward=True, progress=seen.append)
    assert measured.finite.tolist() == [True] * 5 + [False] * 5  # 38 decades
    assert np.isnan(measured.estimate[5:]).all()
    assert np.isnan(measured.log_gradient).all()
    assert seen[-1] == 3 * 9


def test_dead_and_saturated_are_of_the_activation_that_gave_the_values():
    network = network_of(Dense(6), Activation("relu"), Scale(2.0), Dense(6, "tanh"), Masked())
    found = run(network, inputs=DataInputs("one", np.ones((1, 6)), 1), trials=1).estimate
    assert found[1, DEAD] == 0.0
    assert 0.0 < found[2, DEAD] < 1.0
    assert np.isnan(found[[0, 3, 5], DEAD]).all()
    assert found[4, DEAD] == 0.0
    assert np.isfinite(found[:, SATURATED]).tolist() == [False] * 4 + [True, False]


@pytest.mark.parametrize("times", [16, 20, 2500])
def test_the_way_back_goes_by_segments_of_the_root_of_the_depth(times, monkeypatch):
    """Forward one array is kept, whatever the depth."""
    monkeypatch.setattr(general, "HISTORY_BYTES", 0)
    network = network_of(Block((Entry(Scale(-1.0)),), times), width=2)
    sampler = General(network, inputs_of(network), 1, 0, "float32", train=True)
    sampler.remember()
    sampler.begin(0, np.empty(len(MEASURED)))
    finite, out = np.empty((1, times), bool), np.empty((1, times, len(MEASURED)))
    sampler.advance(range(1), 1, out, finite)
    (walk,) = sampler._walks
    assert list(walk.values) == [times]
    segments = [[link.number for link in links] for links in sampler.links(0)]
    assert [n for own in reversed(segments) for n in own] == list(range(1, times + 1))
    assert max(map(len, segments)) == math.isqrt(times)
    assert (general_gradient(sampler, 0) == 0.0).all()


@pytest.mark.parametrize(("running", "segments"), [(1, 1), (2, 1), (3, 5)])
def test_the_way_back_is_one_segment_if_the_trials_that_run_fit(running, segments, monkeypatch):
    """Of 4 trials, 2 fit at once. What was not kept is sampled once more, not twice."""
    times, steps = 25, []
    network = network_of(Block((Entry(Scale(-1.0)),), times), width=2)
    each = times * (16 * 4 * 2 * Scale(-1.0).kept + OBJECTS)
    monkeypatch.setattr(general, "HISTORY_BYTES", 2 * each)
    options = {"train": True, "running": running}
    sampler = General(network, inputs_of(network, 16), 4, 0, "float32", **options)
    sampler.remember()
    assert sampler._links is None
    step = general.Walk.step
    monkeypatch.setattr(general.Walk, "step", lambda *a: (steps.append(1), step(*a))[1])
    found = [[link.number for link in links] for links in sampler.links(3)]
    assert [n for own in reversed(found) for n in own] == list(range(1, times + 1))
    assert len(found) == segments
    # The last segment is not sampled before its turn.
    assert len(steps) == (times if segments == 1 else 2 * times - math.isqrt(times))


@pytest.mark.parametrize("asked", ["auto", "dense", "matrix-free"])
def test_the_way_back_keeps_factors_of_matrices_that_are_not_drawn_alone(asked, monkeypatch):
    """A matrix of 4 × 36 numbers is drawn for 128 columns, whose factor would take 128 KiB."""
    monkeypatch.setattr(general, "HISTORY_BYTES", 2**16)
    network = Network(Shape(4, (8, 8)), Block((Entry(Conv(channels=4, kernel=3)),)))
    inputs = DrawnInputs("normal", network.input.units, 2, 0.0, 1.0)
    options = {"train": True, "sampler": asked, "backward": True}
    sampler = General(network, inputs, 1, 0, "float32", **options)
    sampler.remember()
    assert (sampler._links is None) == (asked == "matrix-free")


@pytest.mark.parametrize("missing", [0, 1])
def test_the_way_back_is_kept_if_its_arrays_and_what_is_beside_them_fit(missing, monkeypatch):
    """Of a batch of 16 in float32: two units of one array, and 1,000 numbers beside it."""
    monkeypatch.setattr(General, "beside", lambda *_: 1000)
    room = 16 * 4 * (2 * Scale(-1.0).kept + 1000) + OBJECTS
    monkeypatch.setattr(general, "HISTORY_BYTES", room - missing)
    network = network_of(Scale(-1.0), width=2)
    sampler = General(network, inputs_of(network, 16), 1, 0, "float32", train=True)
    sampler.remember()
    assert (sampler._links is None) == (missing > 0)


def test_memory_of_the_way_back_grows_as_the_root_of_the_depth(monkeypatch):
    """A hundred times the depth takes about ten times the memory, that of the objects included."""
    monkeypatch.setattr(general, "HISTORY_BYTES", 0)
    peaks = []
    for times in (25, 2500):
        network = network_of(Block((Entry(Halved()),), times), width=64)
        sampler = General(network, inputs_of(network, 32), 1, 0, "float32", train=True)
        sampler.remember()
        tracemalloc.start()
        for links in sampler.links(0):
            links.clear()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 12 * peaks[0]


@pytest.mark.parametrize("size", [1, 4, 11])
def test_uniform_numbers_are_words_of_their_counters(size):
    """Of layer 5 of trial 9, the third time; see docs/random.md."""
    shop = Workshop(np.dtype("float32"), np.uint64(77), np.zeros(1, np.uint8), train=True)
    draw = LayerDraw(shop, 9, 5)
    *_, found = (draw.uniform((size, 1)) for _ in range(3))
    blocks = -(-size // 4)
    words = [philox((j, 6 << 24, 5, 9 | 2 << 24), (77, 0)) for j in range(blocks)]
    expected = [(words[n % blocks][n // blocks] + 0.5) / 2**32 for n in range(size)]
    assert found.dtype == np.float64
    assert found[:, 0].tolist() == expected


def test_layers_are_found_from_any_number_on():
    everything = list(places(BRANCHED.block))
    rows = list(BRANCHED.rows())
    assert [place.number for place in everything] == [row.number for row in rows]
    assert [".".join(place.path) for place in everything] == [row.name for row in rows]
    assert [place.layer for place in everything] == [row.layer for row in rows]
    for begin in range(1, BRANCHED.depth + 1):
        assert list(places(BRANCHED.block, begin)) == everything[begin - 1 :]
        assert list(Order(BRANCHED.block).since(begin)) == everything[begin - 1 :]
    deep = Block((Entry(Block((Entry(Dense(4)), Entry(Scale())), 10**4)),), 10**4)
    assert next(Order(deep).since(123_456_789)).path == ("6172", "0", "8394", "0")


def test_only_what_later_layers_need_is_kept():
    for place in places(BRANCHED.block):
        later = list(places(BRANCHED.block, place.number + 1))
        needed = {n for other in later for n in other.sources if n < place.number}
        assert place.kept == needed


def test_inputs_of_another_width_are_refused():
    with pytest.raises(InvalidValueError, match="6 units"):
        run(BRANCHED, inputs=DrawnInputs("normal", 5, 2, 0.0, 1.0))


@pytest.mark.parametrize(("form", "mean"), [("normalized", None), ("standardized", 0.0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_weights_have_the_norm_that_their_form_says(form, mean, dtype):
    """Fed with the unit vectors, a layer returns its weights."""
    layer = Dense(40, weight_gain=1.5, weights=form)
    data = DataInputs("rows", np.eye(16), 16)
    network = network_of(layer, width=16)
    found = run(network, inputs=data, dtype=dtype, backward=True)
    tolerance = 8.0 * float(np.finfo(dtype).eps)
    second = found.estimate[1, MEASURED.index("second_moment")]
    assert second == pytest.approx(1.5**2 / 16, rel=tolerance)
    if mean is not None:
        assert found.estimate[1, 0] == pytest.approx(mean, abs=tolerance * 1.5)
    for trial in range(3):
        sampler = General(network, data, 3, 0, dtype, train=True)
        units = sampler.first(trial)
        walk = general.Walk(sampler, trial, {0: units})
        walk.step()
        weights = walk.values[1] @ units.T
        r = np.empty((40, 16), dtype)
        draw_rows(r, 0, STANDARD, READOUT, Draw(np.uint64(0), trial, 1))
        expected = math.log(((weights.T @ r) ** 2).sum() / (r**2).sum())
        assert found.log_gradient[trial, 0] == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("grid", [(), (2, 3)])
@pytest.mark.parametrize("how", ["channels", "samples", "not centred"])
def test_values_are_normalised_as_by_numpy(how, grid, dtype):
    """Forward and on the way back, by kernels and by layers.normalise in float64."""
    shop = Workshop(np.dtype(dtype), np.uint64(0), np.zeros(1, np.uint8), train=True)
    random = np.random.default_rng(4)
    x, h = (random.normal(size=(7, 5, *grid)) + 0.5 for _ in range(2))
    passes = [
        draw.normalise_channels(values, 0.1)
        if how == "channels"
        else draw.normalise_samples(values, 0.1, centred=how == "samples")
        for draw, values in ((LayerDraw(shop, 0, 1), x.astype(dtype)), (PlainDraw(), x))
    ]
    # Some roundings of the dtype; averages are in float64 in both.
    allowed = 16.0 * float(np.finfo(dtype).eps)
    found, plain = (own.values for own in passes)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_allclose(found, plain, atol=allowed)
    (found,), (plain,) = passes[0].pull(h.astype(dtype)), passes[1].pull(h)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_allclose(found, plain, atol=allowed)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1, 4, 11, 4 * 1024 + 3])
def test_units_are_kept_by_the_uniform_numbers(size, dtype):
    """The second set of numbers, in more blocks than are drawn at once."""
    shop = Workshop(np.dtype(dtype), np.uint64(77), np.zeros(1, np.uint8), train=True)
    numbers, draw = LayerDraw(shop, 9, 5), LayerDraw(shop, 9, 5)
    numbers.uniform((3,))
    draw.kept((3,), 0.5, np.dtype(dtype))
    found = draw.kept((size, 1), 0.3, np.dtype(dtype))
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, numbers.uniform((size, 1)) >= 0.3)


def test_positions_of_a_sample_are_compared():
    """By plain numpy on the values of one network: per sample and channel the variance over
    positions, and the cosines of different positions of a sample. After them come vectors."""
    grid = (2, 3)
    network = network_of(Conv(channels=4, kernel=3, activation="tanh"), width=3, grid=grid)
    inputs = DrawnInputs("normal", 18, 5, 0.3, 1.0)
    sampler = General(network, inputs, 1, 0, "float64", train=True)
    walk = Walk(sampler, 0, {0: sampler.first(0)})
    walk.step()
    found = sample_network(network, inputs, trials=1, seed=0, dtype="float64")
    over, cosine = (found.names.index(n) for n in ("variance_over_positions", "position_cosine"))
    for layer, values in enumerate((sampler.first(0), walk.values[1])):
        x = values.reshape(*values.shape[:2], 6)
        assert found.estimate[layer, over] == pytest.approx(x.var(axis=2).mean(), rel=1e-12)
        unit = x / np.linalg.norm(x, axis=0)
        products = np.einsum("cau,cav->auv", unit, unit)
        pairs = ~np.eye(6, dtype=bool)
        assert found.estimate[layer, cosine] == pytest.approx(products[:, pairs].mean(), rel=1e-12)
        assert found.estimate[layer, 4] == pytest.approx(x.var(axis=0).mean(), rel=1e-12)
    assert STATISTICS[4] == "variance_over_units"
