"""The rows of a trace: every call and output, named; and what is left out, with the reason."""

from __future__ import annotations

import dataclasses
import gc
import sys
import tracemalloc
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

import snstat
from snstat.errors import InvalidValueError, SnstatError
from snstat.results.statistic import STATISTICS
from snstat.sources.torch import graph
from tests.peers.trace.models import Repeated, ResNet, TiedTokens, mlp
from tests.peers.trace.tracing import assert_measured, trace

pytestmark = pytest.mark.peers


@pytest.mark.slow
def test_a_selu_network_agrees_with_propagate():
    """64 networks of each: |z| < 4 of the difference, for 16 layers and nine statistics."""
    rows = trace(mlp, ["Bx128"], trials=64, batch=32, seed=1)
    run = snstat.propagate(
        "selu", depth=16, width=128, batch=32, trials=64, sampler="dense", backward=True
    )
    for layer in range(1, 17):
        found = rows[str(2 * layer - 1)]
        for name in (*STATISTICS, "gradient"):
            values = np.log(found[name]) if name == "gradient" else found[name]
            own = run.statistics[name].at(layer)
            estimate = np.log(own.estimate) if name == "gradient" else own.estimate
            if name == "dead_fraction" or (name == "gradient" and layer == 16):
                assert values.mean() == pytest.approx(estimate, abs=1e-12)
                continue
            error = np.hypot(values.std(ddof=1) / 8, own.stderr)
            assert abs(values.mean() - estimate) < 4 * error, (layer, name)


def test_a_module_called_four_times_has_four_rows():
    rows = trace(Repeated, ["Bx16"])
    calls = [f"{name}#{n}" for n in range(1, 5) for name in ("l", "act")]
    assert rows.names == ["input", *calls, "Repeated"]
    assert rows.call("Repeated").same_as == 8
    assert len({tuple(rows[name]["mean"]) for name in calls}) == 8
    for name, value in rows["act#4"].items():
        np.testing.assert_array_equal(value, rows["Repeated"][name])


def test_one_module_under_two_names_has_one_path():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = self.b = nn.Linear(8, 8)

        def forward(self, x):
            return self.b(self.a(x))

    rows = trace(Tied, ["Bx8"])
    assert rows.names == ["input", "a#1", "a#2", "Tied"]
    assert "b is the same module as a" in rows.summary.notes


@dataclasses.dataclass
class Plain:
    hidden: torch.Tensor
    name: str


def test_outputs_that_are_no_floating_tensors_are_named():
    class Many(nn.Module):
        def forward(self, x):
            nested = torch.nested.as_nested_tensor([x[0], x[1]], layout=torch.jagged)
            return {
                "complex": torch.fft.fft(x),
                "whole": x.argmax(1),
                "none": None,
                "word": "a",
                "count": 3,
                "plain": Plain(x + 1, "b"),
                "nested": nested,
                "list": [x * 2, (x * 3,)],
                2: x * 4,
            }

    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.many, self.l = Many(), nn.Linear(8, 8)

        def forward(self, x):
            return self.many(self.l(x))["plain"].hidden

    rows = trace(Root, ["Bx8"], trials=1)
    names = ["many.plain.hidden", "many.list[0]", "many.list[1][0]", "many[2]"]
    assert rows.names == ["input", "l", *names, "Root"]
    assert {left.output: left.reason for left in rows.summary.skipped} == {
        ".complex": "complex64",
        ".whole": "int64",
        ".none": "None",
        ".word": "str",
        ".count": "int",
        ".plain.name": "str",
        ".nested": "nested tensor",
    }


def test_named_and_whole_inputs():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.l = nn.Embedding(50, 8), nn.Linear(8, 8)

        def forward(self, *, tokens, scale, past_key_values=None):
            assert past_key_values is None
            x = self.l(self.e(tokens)) * scale
            return {"logits": x, "past_key_values": ((x, x * 2),), "loss": None}

    inputs = {"tokens": "tokens:50:Bx5", "scale": "ones:Bx1x8"}
    rows = trace(Model, inputs, trials=2)
    assert rows.summary.inputs == inputs
    assert rows.names[1:4] == ["e", "l", "Model.logits"]
    assert rows.call("Model.past_key_values[0][0]").same_as == 3
    assert rows["input"]["mean"].tolist() == [1, 1]


def test_stochastic_depth_says_how_many_trials_had_a_call():
    class Depth(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = (nn.Linear(8, 8) for _ in range(3))

        def forward(self, x):
            x = self.a(x)
            return self.c(self.b(x) if torch.rand(()) < 0.5 else x)

    rows = trace(Depth, ["Bx8"], trials=16)
    assert rows.names == ["input", "a", "b", "c", "Depth"]
    had = np.isfinite(rows["b"]["mean"])
    assert rows.call("b").trials == had.sum()
    assert 0 < had.sum() < 16
    assert rows.call("c").trials == 16
    np.testing.assert_array_equal(np.isfinite(rows["b"]["gradient"]), had)


def test_a_row_that_has_the_tensor_of_another_in_some_trials_keeps_its_gradients():
    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.l = nn.Linear(8, 8)

        def forward(self, x):
            return self.l(x) if torch.rand(()) >= 0.5 else 2 * x

    def network():
        return nn.Sequential(nn.Linear(8, 8), Skip(), nn.Linear(8, 8))

    rows = trace(network, ["Bx8"], trials=16)
    own, inner = rows["1"]["gradient"], rows["1.l"]["gradient"]
    had = np.isfinite(rows["1.l"]["mean"])
    assert had[0]  # it begins as a copy
    assert not had.all()
    assert rows.call("1").same_as is None
    assert np.isfinite(own).all()
    np.testing.assert_array_equal(own[had], inner[had])


def test_a_call_that_comes_only_in_later_trials_stands_in_its_place():
    class Later(nn.Module):
        calls = 0

        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = (nn.Linear(8, 8) for _ in range(3))

        def forward(self, x):
            x = self.a(x)
            return self.c(self.b(x) if self.training else x)

    made = []

    def network():
        made.append(0)
        model = Later()
        model.train = lambda _mode=True: setattr(model, "training", len(made) > 2) or model
        return model

    assert trace(network, ["Bx8"], trials=4).names == ["input", "a", "b", "c", "Later"]


def test_the_rows_that_are_asked_for():
    whole = trace(ResNet, trials=1)
    some = trace(ResNet, trials=1, only=["layer1.*.relu", "fc"])
    assert some.names == [
        "input",
        *(f"layer1.{block}.relu#{call}" for block in (0, 1) for call in (1, 2)),
        "fc",
    ]
    for name in some.names:
        assert name == "input" or some.call(name).axes == whole.call(name).axes
        for statistic, value in some[name].items():
            np.testing.assert_array_equal(value, whole[name][statistic])
    leaves = trace(ResNet, trials=1, leaves=True)
    assert "layer1" in whole.names
    assert "layer1" not in leaves.names
    assert len(leaves.names) == 1 + 3 + 2 * 6 + 8 + 1
    with pytest.raises(InvalidValueError, match="only is 'layer9'"):
        trace(ResNet, only=["layer9"])


def test_modules_that_are_never_called_are_listed():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    rows = trace(lambda: nn.TransformerEncoder(layer, 2), ["Bx5x8"], mode="eval", backward=False)
    assert {"layers.0.linear1", "layers.1.norm2", "layers.1.self_attn[0]"} <= set(rows.names)
    assert "layers.0.self_attn.out_proj" in rows.summary.not_called


@pytest.mark.parametrize(
    "wrap", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm]
)
def test_parametrized_weights(wrap):
    torch.manual_seed(0)
    layer = wrap(nn.Linear(8, 8))
    model = nn.Sequential(layer, nn.ReLU())
    rows = trace(model, ["Bx8"], mode="eval", trials=1)
    assert rows.names == ["input", "0", "1", "Sequential"]
    from snstat.sources.calls.seeds import INPUTS, seed_of

    x = torch.randn(8, 8, generator=torch.Generator().manual_seed(seed_of(0, 0, INPUTS)))
    model.eval()
    y = nn.functional.linear(x, layer.weight, layer.bias).double()
    assert rows["0"]["second_moment"][0] == pytest.approx(y.square().mean().item(), rel=1e-6)


def test_lazy_modules_from_a_function():
    rows = trace(lambda: nn.Sequential(nn.LazyLinear(8), nn.ReLU()), ["Bx5"])
    assert rows.call("0").kind == "Linear"
    assert rows.summary.parameters == 48
    with pytest.raises(SnstatError, match="name a function that builds it"):
        trace(nn.LazyLinear(8), ["Bx5"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
def test_compiled_modules_have_the_rows_of_others():
    def compiled():
        model = mlp(8, 2)
        return nn.Sequential(torch.compile(model[:2]), torch.compile(model[2:]))

    def plain():
        model = mlp(8, 2)
        return nn.Sequential(model[:2], model[2:])

    rows, twin = trace(compiled, ["Bx8"]), trace(plain, ["Bx8"])
    assert rows.names == twin.names
    np.testing.assert_array_equal(rows.traced.values, twin.traced.values)
    whole = trace(lambda: torch.compile(plain()), ["Bx8"])
    assert whole.names == twin.names


def test_wrappers_for_devices_are_taken_off():
    assert trace(lambda: nn.DataParallel(mlp(8, 1)), ["Bx8"]).names[1] == "0"


def test_distributed_modules_are_taken_out(tmp_path):
    """One process of gloo, whose hooks on gradients must not wait for others."""
    group = torch.distributed
    group.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        torch.manual_seed(0)
        model = mlp(8, 2)
        rows = trace(nn.parallel.DistributedDataParallel(model), ["Bx8"])
        twin = trace(model, ["Bx8"])
    finally:
        group.destroy_process_group()
    assert rows.names == twin.names
    np.testing.assert_array_equal(rows.traced.values, twin.traced.values)
    np.testing.assert_array_equal(rows.traced.log_gradient, twin.traced.log_gradient)


def test_sharded_modules_are_refused():
    class FullyShardedDataParallel(nn.Module):
        pass

    with pytest.raises(SnstatError, match="sharded"):
        trace(lambda: nn.Sequential(FullyShardedDataParallel()), ["Bx8"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
def test_scripted_modules_have_one_row():
    rows = trace(lambda: torch.jit.script(mlp(8, 2)), ["Bx8"], trials=1)
    assert rows.names == ["input", "Sequential"]
    assert any("scripted" in note for note in rows.summary.notes)


def test_tied_embeddings():
    """A weight used twice: first as rows, then as a matrix."""

    model = TiedTokens()
    rows = trace(model, ["tokens:11:Bx5"], trials=1)
    assert rows.summary.parameters == 88
    from snstat.sources.calls.seeds import INPUTS, seed_of

    generator = torch.Generator().manual_seed(seed_of(0, 0, INPUTS))
    x = model.tokens.weight[torch.randint(11, (8, 5), generator=generator)]
    assert_measured(rows["tokens"], x, "SPU")
    assert_measured(rows["head"], nn.functional.linear(x, model.tokens.weight), "SPU")


class Loop(nn.Module):
    """Calls one module many times, and counts the tensors that are alive before and after."""

    alive: ClassVar[list[int]] = []  # of the class, because lists of the module are put back

    def __init__(self, calls):
        super().__init__()
        self.act, self.calls = nn.Hardtanh(), calls

    def forward(self, x):
        self.alive.append(tensors_alive())
        for _ in range(self.calls):
            x = self.act(x)
        self.alive.append(tensors_alive())
        return x


def test_many_calls_keep_no_tensors():
    """A thousand calls of one module, each of 64 KiB: nothing of them stays, nor while they come.
    A row with the record of its call takes less than 2 KiB."""
    values = np.random.default_rng(0).standard_normal((8, 2048)).astype("float32")
    options = {"trials": 1, "backward": False}
    trace(lambda: Loop(10), [values], **options)  # what is imported the first time stays
    sizes, peaks = [], []
    for calls in (500, 1000):
        model = Loop(calls)
        before = tensors_alive()
        tracemalloc.start()
        rows = trace(model, [values], **options)
        size, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        sizes.append(size)
        peaks.append(peak)
        assert len(rows.names) == calls + 2
        assert tensors_alive() < before + 10
        first, last = model.alive[-2:]
        assert last - first < 10
        del rows
    assert sizes[1] - sizes[0] < 500 * 2048
    assert peaks[1] - peaks[0] < 500 * 4096


@pytest.mark.slow
def test_ten_thousand_modules_take_few_functions():
    """Two seconds are more than two million functions of Python, with what they do themselves, at a
    microsecond each; `make bench` measures the time within a training loop."""
    model = nn.Sequential(*(e for _ in range(5000) for e in (nn.Linear(4, 4), nn.Tanh())))
    x = torch.randn(8, 4)

    def step():
        model(x).sum().backward()

    found = []

    def traced_step():
        with snstat.tracing(model) as t:
            step()
        found.append(t.run)

    with snstat.tracing(nn.Linear(4, 4)) as t:  # what is imported the first time
        t._watched._model(x)
    assert calls_in(traced_step) - calls_in(step) < 2_000_000
    assert len(found[0].layers) == 10_002
    assert found[0].gradient.estimate[-1] == 1


def tensors_alive():
    gc.collect()
    return sum(issubclass(type(entry), torch.Tensor) for entry in gc.get_objects())


@pytest.mark.parametrize("ops", [False, True])
def test_the_cost_grows_with_the_number_of_modules_and_no_faster(ops, monkeypatch):
    """Functions called for each further module: as many for the last ones as for the first ones,
    in several trials. Ten thousand modules then take ten times what a thousand take. The graph of
    so many is not asked for."""
    monkeypatch.setattr(graph, "MOST_CALLS", 0)
    counted = {}
    for blocks in (0, 50, 100, 200):
        model = nn.Sequential(
            *(entry for _ in range(blocks) for entry in (nn.Linear(4, 4), nn.Tanh(), nn.Identity()))
        )
        trace(model, ["Bx4"], ops=ops)  # what is imported or compiled the first time
        counted[blocks] = calls_in(lambda model=model: trace(model, ["Bx4"], ops=ops))
    first, then = counted[100] - counted[50], counted[200] - counted[100]
    assert then == pytest.approx(2 * first, rel=0.001)
    # For one module: its hooks, rows and records, of four trials, with their gradients; and a look
    # at each operation, which may write to a parameter.
    assert first / 150 < (1500 if ops else 950)


def calls_in(function):
    """Return how many functions a function calls, but for those written in C, as probes are."""
    found = [0]

    def count(_frame, event, _argument):
        found[0] += event == "call"

    gc.disable()  # what it calls is not of this function
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
        gc.enable()
    return found[0]
