"""Rows that merge samples with positions, of any framework: read only where they come sample by
sample."""

from __future__ import annotations

import numpy as np
import pytest

from snstat.sources.calls.framework import Part
from snstat.sources.calls.trace import trace_framework
from tests.sources.test_calls import Plain, rows_of

PARTS = [Part("inner", "Dense", -1), Part("drop", "Dropout", -1)]

WEIGHTS = np.random.default_rng(7).standard_normal((8, 6))


def flattened(how, framework):
    """Return a model: rows of all samples and times together, one way or the other, or sorted."""

    def run(_model, call, x):
        if how == "times":
            x = x.swapaxes(0, 1)
        rows = x.reshape(-1, x.shape[-1])
        if how == "sorted":
            rows = rows[rows[:, 0].argsort()]
        if how == "fails" and framework[0].mode == "eval":
            raise RuntimeError("in train mode only")
        y = call("inner", lambda rows: rows @ WEIGHTS, rows)
        chance = np.random.default_rng().standard_normal(y.shape)
        noise = 0.0 if framework[0].mode == "eval" else chance
        return call("drop", lambda y: y + noise, y).sum()

    return run


def traced(how, **options):
    framework = []
    framework.append(Plain(flattened(how, framework), PARTS))
    inputs = options.pop("inputs", ["Bx5x8"])
    return trace_framework(framework[0], inputs=inputs, trials=1, **options)


@pytest.mark.parametrize("how", ["samples", "times", "sorted", "fails"])
def test_rows_that_mix_samples_are_pooled(how):
    """What is at random in train mode does not hide their order."""
    found = traced(how)
    names, rows = found.names, rows_of(found)
    for row in found.summary.rows:
        assert (row.axes is None) == (how != "samples"), row.name
        values = dict(zip(names, rows[row.name][0], strict=True))
        assert np.isnan(values["cosine"]) == (how != "samples")
        assert values["second_moment"] > 0


def test_the_cosine_is_that_of_samples():
    values = np.random.default_rng(0).standard_normal((4, 5, 8))
    values += np.random.default_rng(1).standard_normal((4, 1, 8))
    found = traced("samples", inputs=[values])
    rows = (values @ WEIGHTS).reshape(4, -1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    product = rows @ rows.T
    expected = (product.sum() - 4) / 12
    cosine = dict(zip(found.names, rows_of(found)["inner"][0], strict=True))["cosine"]
    assert cosine == pytest.approx(expected, rel=1e-9)


def test_the_batch_may_be_another_axis_of_the_input():
    """Of inputs (time, sample, unit), rows come time by time."""
    assert traced("samples", inputs=["5xBx8"]).summary.rows[0].axes is None
    axes = traced("times", inputs=["5xBx8"]).summary.rows[0].axes
    assert (axes.sample, axes.position, axes.unit) == ((0,), (0,), (1,))


def test_it_costs_nothing_where_nothing_is_merged(monkeypatch):
    asked = []
    monkeypatch.setattr("snstat.sources.calls.trace.mixed", lambda *_: asked.append(1) or ())
    traced("samples", inputs=["Bx8"])
    assert not asked
    traced("samples")
    assert asked == [1]
