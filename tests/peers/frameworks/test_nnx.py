"""Traces of modules of Flax NNX: rows, gradients, and what a trace leaves alone."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("flax")

import jax
import jax.numpy as jnp
from flax import nnx

import snstat
from snstat.errors import SnstatError, UserCodeError
from snstat.sources.calls.seeds import MODEL, READ_OUT, seed_of
from snstat.sources.nnx.model import LARGEST_SEED

pytestmark = pytest.mark.frameworks


class Block(nnx.Module):
    def __init__(self, width, rngs):
        self.lin = nnx.Linear(width, width, rngs=rngs)
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return x + self.drop(self.lin(self.norm(self.lin(x))))


class Wide(Block):
    """Calls that of its parent: one call of one module."""

    def __call__(self, x):
        return 2.0 * super().__call__(x)


class Net(nnx.Module):
    def __init__(self, width=8, *, rngs):
        self.one, self.two = Block(width, rngs), Wide(width, rngs)
        self.head = nnx.Linear(width, 3, rngs=rngs)

    def __call__(self, x):
        return {"logits": self.head(self.two(self.one(x))), "count": jnp.zeros(3, int)}


class Log(nnx.Module):
    def __call__(self, x):
        return jnp.log(x)


CLASSES = (Block, Wide, Net, Log, nnx.Linear, nnx.BatchNorm, nnx.Dropout, nnx.Sequential)
PLAIN = {kind: kind.__dict__.get("__call__") for kind in CLASSES}


@pytest.fixture(autouse=True)
def _nothing_stays_swapped():
    yield
    assert {kind: kind.__dict__.get("__call__") for kind in CLASSES} == PLAIN


def names(run):
    return [row.name for row in run.module.rows]


def traced(function, monkeypatch, **options):
    """Trace a function by its Python name."""
    monkeypatch.setattr(sys.modules[__name__], "built", function, raising=False)
    sys.modules["models_of_test"] = sys.modules[__name__]
    try:
        return snstat.trace("nnx:models_of_test:built", **options)
    finally:
        del sys.modules["models_of_test"]


def test_rows(monkeypatch):
    run = traced(Net, monkeypatch, inputs="Bx8", trials=3)
    inner = ["lin#1", "norm", "lin#2", "drop"]
    assert names(run) == [
        *(f"one.{name}" for name in inner), "one", *(f"two.{name}" for name in inner), "two",
        "head", "Net.logits",
    ]  # fmt: skip
    assert run.module.rows[-1].same_as == len(run.module.rows) - 1
    assert [(left.path, left.reason) for left in run.module.skipped] == [("Net", "int32")]
    assert run.second_moment.stderr[1] > 0.0
    again = traced(Net, monkeypatch, inputs="Bx8", trials=3)
    assert np.array_equal(run.second_moment.estimate, again.second_moment.estimate)
    assert np.array_equal(run.gradient.estimate, again.gradient.estimate)
    assert np.isfinite(run.gradient.estimate).all()


class Dropped(nnx.Module):
    def __init__(self, *, rngs):
        self.first, self.drop = nnx.Linear(6, 20, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.drop(self.first(x))


def test_gradients_are_those_of_the_masks_that_were_drawn(monkeypatch):
    run = traced(Dropped, monkeypatch, inputs="ones:Bx6", trials=1, batch=16)
    model = Dropped(rngs=nnx.Rngs(seed_of(0, 0, MODEL) & LARGEST_SEED))
    mask = np.asarray(model(jnp.ones((16, 6)))) != 0.0
    assert 0.3 < mask.mean() < 0.7
    assert run["drop"].second_moment.estimate == pytest.approx(
        float(np.mean((2.0 * mask * model.first(jnp.ones(6))) ** 2)), rel=1e-5
    )
    read_out = np.random.default_rng(seed_of(0, 0, READ_OUT)).standard_normal((16, 20))
    # d/d(first) = 2 · mask · r, in float32.
    expected = 4.0 * np.sum(mask * read_out**2) / np.sum(read_out**2)
    assert run["first"].gradient.estimate == pytest.approx(expected, rel=1e-5)


def test_modes(monkeypatch):
    options = {"inputs": "Bx8", "trials": 1, "batch": 64, "only": ["one.norm", "one.drop"]}
    train = traced(Net, monkeypatch, **options)
    assert train.variance_over_batch.estimate[1] == pytest.approx(1.0, abs=1e-2)
    evaluated = traced(Net, monkeypatch, **options, mode="eval")
    assert evaluated.variance_over_batch.estimate[1] != pytest.approx(1.0, abs=1e-2)
    kept = traced(Net, monkeypatch, **options, dropout="off")
    assert train.kurtosis.estimate[2] > 1.5 * kept.kurtosis.estimate[2]


def test_a_module_as_it_is_is_left_as_it_was():
    model = Net(rngs=nnx.Rngs(0))
    model.eval()
    before = jax.tree.map(np.copy, nnx.state(model, nnx.Not(nnx.RngState)))
    run = snstat.trace(model, inputs="Bx8", trials=2)
    assert run.module.trials_of == "inputs"
    after = nnx.state(model, nnx.Not(nnx.RngState))
    assert jax.tree.all(jax.tree.map(np.array_equal, before, after))
    assert model.one.drop.deterministic


def test_a_function_without_rngs_is_noted(monkeypatch):
    run = traced(lambda: Net(rngs=nnx.Rngs(0)), monkeypatch, inputs="Bx8", trials=2)
    assert run.module.notes == ("the function takes no rngs, so it decides what trials draw",)
    with pytest.raises(SnstatError, match="returned None, but must return a module of"):
        traced(lambda: None, monkeypatch, inputs="Bx8")


def test_an_exception_leaves_nothing_swapped(monkeypatch):
    class Failing(nnx.Module):
        def __call__(self, _):
            raise RuntimeError("no")

    plain = Failing.__call__
    with pytest.raises(UserCodeError, match="raised RuntimeError: no"):
        traced(
            lambda rngs: nnx.Sequential(nnx.Linear(8, 8, rngs=rngs), Failing()),
            monkeypatch,
            inputs="Bx8",
        )
    assert Failing.__call__ is plain


def test_the_module_that_makes_the_first_nan_is_named(monkeypatch):
    def built(rngs):
        return nnx.Sequential(nnx.Linear(8, 8, rngs=rngs), Log(), nnx.Linear(8, 8, rngs=rngs))

    found = traced(built, monkeypatch, inputs="Bx8").module.nonfinite
    assert (found.path, found.kind, found.inputs_finite) == ("layers.1", "Log", True)

    def between(rngs):
        parts = nnx.Linear(8, 8, rngs=rngs), nnx.Linear(8, 8, rngs=rngs)
        return nnx.Sequential(parts[0], jnp.log, parts[1])

    found = traced(between, monkeypatch, inputs="Bx8").module.nonfinite
    assert (found.path, found.before) == ("Sequential", "layers.2")


class Refusing(nnx.Module):
    def __call__(self, _):
        raise ValueError("no")


class Catching(nnx.Module):
    """Goes on after a part failed, and makes a NaN by its own code."""

    def __init__(self, *, rngs):
        self.refusing, self.last = Refusing(), nnx.Linear(8, 8, rngs=rngs)

    def __call__(self, x):
        try:
            return self.refusing(x)
        except ValueError:
            return self.last(jnp.log(x))


def test_a_part_that_failed_made_nothing(monkeypatch):
    run = traced(Catching, monkeypatch, inputs="Bx8", trials=1)
    assert names(run) == ["last", "Catching"]
    assert (run.module.nonfinite.path, run.module.nonfinite.before) == ("Catching", "last")
    assert run.module.not_called == ("refusing",)


def test_compiled_parts_have_no_rows(monkeypatch):
    class Compiled(nnx.Module):
        def __init__(self, *, rngs):
            self.one, self.two = nnx.Linear(8, 8, rngs=rngs), nnx.Linear(8, 8, rngs=rngs)

        def __call__(self, x):
            compiled = jax.jit(lambda x: self.one(x))  # noqa: PLW0108  # jax hashes no module
            return nnx.jit(lambda part, x: part(x))(self.two, compiled(x))

    run = traced(Compiled, monkeypatch, inputs="Bx8", trials=1)
    assert names(run) == ["Compiled"]
    assert [(left.path, left.reason) for left in run.module.skipped] == [("one", "compiled")]
    assert run.module.not_called == ("two",)
