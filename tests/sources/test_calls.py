"""What traces of all frameworks share, with a framework of plain functions of numpy."""

from __future__ import annotations

import math
from contextlib import contextmanager

import numpy as np
import pytest

from snstat.errors import InvalidValueError, SnstatError, UserCodeError
from snstat.sources import extra, tracers
from snstat.sources.calls.framework import Part
from snstat.sources.calls.maker import Maker
from snstat.sources.calls.parts import parts_of
from snstat.sources.calls.seeds import INPUTS, READ_OUT, seed_of
from snstat.sources.calls.trace import trace_framework
from tests.engine import tensor_oracle


class Plain:
    """A framework whose model is a function of arrays and of `call`, which calls a part."""

    name, version, target, builds, mode = "plain", "1", "models:plain", True, "train"

    def __init__(self, function, parts, *, gradients=None):
        self.function, self._parts, self._gradients = function, parts, gradients
        self.settings, self.notes = {"width": 3}, ["a note"]
        self.seeds = []

    @contextmanager
    def model(self, seed):
        self.seeds.append(seed)
        yield np.random.default_rng(seed)

    @contextmanager
    def still(self, _model):
        self.mode = "eval"
        try:
            yield
        finally:
            self.mode = "train"

    def parts(self, _model):
        return self._parts, {"twin": "a"}

    def parameters(self, _model):
        return 17

    def device(self, _model):
        return "disk"

    def arguments(self, _model):
        return ["x", "mask"]

    def examples(self, _model):
        return ["Bx5"]

    def dtype(self, _name, *, floating):
        return "float64" if floating else None

    def array(self, value):
        if isinstance(value, memoryview):
            return "a view"
        return value if isinstance(value, np.ndarray) else None

    def run(self, model, arguments, seen, gradients):
        def call(path, function, *taken):
            part = next(part for part in self._parts if part.path == path)
            seen.before(part)
            try:
                output = function(*taken)
            except BaseException:
                seen.failed()
                raise
            for row, _ in seen.after(part, taken, output):
                if gradients.read_out is not None and self._gradients is not None:
                    gradients.squares[row.key] = self._gradients
            return output

        if gradients.read_out is not None:
            gradients.reference = gradients.read_out.random()
        self.function(model, call, *arguments.positional, **arguments.by_name)


def rows_of(traced):
    """Return the values of each row by name, (trials, statistics)."""
    names = ["input", *(row.name for row in traced.summary.rows)]
    return {name: traced.values[:, number] for number, name in enumerate(names)}


PARTS = [
    Part("net", "Net", contains=True),
    Part("a", "Dense", -1),
    Part("act", "Activation", activation="relu"),
    Part("b", "Dense", -1),
    Part("never", "Dense"),
]


def net(model, call, x):
    weights = model.standard_normal((5, 4))

    def whole(x):
        h = call("act", lambda h: np.maximum(h, 0.0), call("a", lambda x: x @ weights, x))
        call("act", lambda h: np.maximum(h, 0.0), -h)
        return call("b", lambda h: h[:, ::2] + 1.0, h)

    return call("net", whole, x)


def test_rows_and_their_statistics():
    framework = Plain(net, PARTS, gradients=6.0)
    traced = trace_framework(framework, batch=6, trials=2, seed=3)
    summary, found = traced.summary, rows_of(traced)
    assert [*found] == ["input", "a", "act#1", "act#2", "b", "net"]
    assert [row.same_as for row in summary.rows] == [None, None, None, None, 4]
    assert (summary.framework, summary.framework_version, summary.target) == (
        "plain", "1", "models:plain",
    )  # fmt: skip
    assert (summary.parameters, summary.inputs, summary.input_shape) == (17, {"x": "Bx5"}, (5,))
    assert (summary.not_called, summary.trials_of, summary.device) == (("never",), "model", "disk")
    assert summary.notes == ("twin is the same module as a", "a note")
    assert summary.settings == {"width": 3}
    for trial in range(2):
        x = np.random.default_rng(seed_of(3, trial, INPUTS)).standard_normal((6, 5), np.float32)
        weights = np.random.default_rng(seed_of(3, trial, 0)).standard_normal((5, 4))
        h = x.astype(np.float64) @ weights
        arrays = {"input": x.astype(np.float64), "a": h, "act#1": np.maximum(h, 0.0)}
        arrays["act#2"] = np.maximum(-arrays["act#1"], 0.0)
        arrays["b"] = arrays["net"] = arrays["act#1"][:, ::2] + 1.0
        for name, values in arrays.items():
            wanted = tensor_oracle.statistics(values, "SU")
            for place, statistic in enumerate(traced.names):
                if statistic in wanted and statistic not in ("dead_fraction", "saturated_fraction"):
                    close = pytest.approx(wanted[statistic], rel=1e-11, abs=1e-12, nan_ok=True)
                    assert found[name][trial, place] == close, (name, statistic)
        dead = traced.names.index("dead_fraction")
        assert found["act#2"][trial, dead] == 1.0
        assert found["a"][trial, dead] == 0.0  # no unit is constant
        reference = np.random.default_rng(seed_of(3, trial, READ_OUT)).random()
        expected = math.log(6.0 / reference)
        assert traced.log_gradient[trial, 1:] == pytest.approx([expected] * 5, rel=1e-14)
    assert traced.finite.all()
    assert math.isnan(traced.log_gradient[0, 0])


def test_axes_are_probed_and_given():
    def images(_model, call, x):
        call("a", lambda x: x.reshape(-1, 3), x)  # samples merged with 4 positions
        call("b", lambda x: x, x.reshape(-1, 4, 3))
        call("act", lambda x: x.transpose(1, 0, 2), x.reshape(-1, 4, 3))

    inputs, parts = ["Bx12"], [Part("a", "Window"), Part("b", "Conv", 1), Part("act", "T")]
    traced = trace_framework(Plain(images, parts), inputs=inputs, batch=5, trials=1)
    shapes = [row.shape for row in traced.summary.rows]
    assert shapes == [("4S", 3), ("S", 4, 3), (4, "S", 3)]
    axes = [row.axes for row in traced.summary.rows]
    assert [(a.sample, a.position, a.unit) for a in axes[:2]] == [
        ((0,), (0,), (1,)),
        ((0,), (2,), (1,)),
    ]
    given = trace_framework(
        Plain(images, parts), inputs=inputs, batch=5, trials=1, axes={"act": "P,S,U"}
    )
    assert given.summary.rows[2].axes.found == "given"
    with pytest.raises(InvalidValueError, match="a glob that matches"):
        trace_framework(Plain(images, parts), inputs=inputs, axes={"other": "S,U"})


def test_a_model_that_takes_one_batch_only():
    def fixed(_model, call, x):
        call("a", lambda x: x.reshape(7, 5), x)

    traced = trace_framework(Plain(fixed, PARTS), batch=7, trials=1)
    assert traced.summary.rows[0].axes.found == "kind"
    with pytest.raises(UserCodeError, match="models:plain raised ValueError"):
        trace_framework(Plain(fixed, PARTS), batch=8)


def test_chosen_rows():
    only = trace_framework(Plain(net, PARTS), trials=1, only=["a*"])
    assert [row.name for row in only.summary.rows] == ["a", "act#1", "act#2"]
    leaves = trace_framework(Plain(net, PARTS), trials=1, leaves=True)
    assert "net" not in [row.path for row in leaves.summary.rows]
    with pytest.raises(InvalidValueError, match="only is 'z\\*', but must be a glob"):
        trace_framework(Plain(net, PARTS), only=["z*"])


def test_what_is_no_array_is_named():
    def odd(_model, call, x):
        output = {"ids": np.arange(3), "none": None, "x": (x, memoryview(b"")), "empty": x[:0]}
        call("a", lambda _: output, x)

    summary = trace_framework(Plain(odd, PARTS), trials=1, backward=False).summary
    assert [row.name for row in summary.rows] == ["a.x[0]"]
    assert [(left.output, left.reason) for left in summary.skipped] == [
        (".ids", "int64"), (".none", "None"), (".x[1]", "a view"), (".empty", "no elements"),
    ]  # fmt: skip
    assert parts_of([1], "[0]" * 17) is None


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda x: np.full_like(x, np.nan), ("a", 1, True, None)),
        (lambda x: np.where(x > 0.0, 0.0, -np.inf), None),  # a mask
        (lambda x: x / 0.0, ("a", 1, True, None)),
    ],
)
def test_the_first_call_that_is_not_finite(function, found):
    def inner(_model, call, x):
        call("net", lambda x: call("b", lambda y: y, call("a", function, x)), x)

    with np.errstate(all="ignore"):
        told = trace_framework(Plain(inner, PARTS), trials=1).summary.nonfinite
    if found is None:
        assert told is None
    else:
        assert (told.path, told.call, told.inputs_finite, told.before) == found


def test_code_between_calls_is_told_by_the_next_call():
    def inner(_model, call, x):
        call("net", lambda x: call("b", lambda y: y, x * np.nan), x)

    told = trace_framework(Plain(inner, PARTS), trials=1).summary.nonfinite
    assert (told.path, told.kind, told.inputs_finite, told.before) == ("net", "Net", True, "b")
    x = np.full((8, 5), np.nan)
    told = trace_framework(Plain(net, PARTS), inputs=[x], trials=1).summary.nonfinite
    assert (told.path, told.inputs_finite, told.before) == ("net", True, "a")


def test_inputs():
    kinds = {}

    def keep(_model, _call, *values, **named):
        kinds["last"] = [*values, *named.values()]

    inputs = ["ones:Bx2", "mask=zeros:Bx2", "n=tokens:7:Bx900", "u=uniform:Bx900"]
    summary = trace_framework(Plain(keep, PARTS), inputs=inputs, trials=1).summary
    ones, zeros, tokens, uniform = kinds["last"]
    assert (ones == 1.0).all()
    assert ones.dtype == np.float64
    assert (zeros == 0.0).all()
    assert {*tokens.ravel()} == {*range(7)}
    assert tokens.dtype == np.int64
    assert uniform.max() < math.sqrt(3.0) < uniform.max() + 0.01
    assert summary.inputs == {"x": inputs[0], "mask": "zeros:Bx2"} | {
        "n": "tokens:7:Bx900", "u": "uniform:Bx900",
    }  # fmt: skip
    given = np.arange(6.0).reshape(3, 2)
    summary = trace_framework(Plain(keep, PARTS), inputs={"x": given}, batch=3, trials=1).summary
    assert kinds["last"][0].tolist() == given.tolist()
    assert summary.inputs == {"x": "float64:Bx2"}
    for wrong in ([3], [np.float64(3.0)], [np.empty((0, 2))]):
        with pytest.raises(InvalidValueError, match="texts or arrays of samples"):
            trace_framework(Plain(keep, PARTS), inputs=wrong)
    with pytest.raises(InvalidValueError, match="fits in memory with a batch of"):
        trace_framework(Plain(keep, PARTS), inputs=["Bx99999999999x99999999"])


def test_makers():
    maker = Maker("models:f", lambda width=1: [width], {"width": 4}, list, "a list")
    assert maker.builds
    assert maker.make() == [4]
    with pytest.raises(SnstatError, match="models:f returned None, but must return a list"):
        Maker("models:f", lambda: None, {}, list, "a list").make()
    with pytest.raises(SnstatError, match="is a value of type int, but must be a function that"):
        Maker("models:f", 3, {}, list, "a list")
    with pytest.raises(SnstatError, match="is a model, which takes no arguments"):
        Maker("models:f", [], {"width": 4}, list, "a list")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("models:f", "a module needs torch: pip install 'snstat[torch]'"),
        ("m.ONNX", "an ONNX file needs onnx: pip install 'snstat[onnx]'"),
        ("keras:models:f", "a Keras model needs keras: pip install 'snstat[keras]'"),
        ("nnx:models:f", "a module of Flax needs flax: pip install 'snstat[flax]'"),
    ],
)
def test_a_missing_package_is_told_with_its_extra(monkeypatch, target, words):
    monkeypatch.setattr(extra, "find_spec", lambda _name: None)
    with pytest.raises(SnstatError) as caught:
        tracers.tracer_of(target)
    assert str(caught.value) == f"tracing {words}"


def test_the_framework_of_a_target():
    class Layer:
        pass

    names = {"a:b": "torch", "keras:a:b": "keras", "nnx:a:b": "nnx", "keras:a": "torch"}
    assert {name: tracers.framework_of(name) for name in names} == names
    for module, framework in (
        ("keras.src.layers", "keras"),
        ("flax.nnx.nn", "nnx"),
        ("my", "torch"),
    ):
        Layer.__module__ = module
        assert tracers.framework_of(Layer()) == framework
    assert tracers.framework_of(Layer) == "torch"
