"""Which samples of given arrays a trial takes, with a framework of plain functions of numpy."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from snstat.errors import InvalidValueError
from snstat.sources.calls.trace import trace_framework
from tests.sources.test_calls import PARTS, Plain


class Kept:
    """A function that keeps what it is called with, but for the calls that probe axes."""

    def __init__(self):
        self.calls = []

    def __call__(self, _model, _call, *values, **named):
        self.calls.append([value.copy() for value in (*values, *named.values())])


def taken(inputs, trials=6, **options):
    """Return the arguments of every trial, and the trace."""
    kept = Kept()
    traced = trace_framework(Plain(kept, PARTS), inputs=inputs, trials=trials, **options)
    return kept.calls[-trials:], traced


def numbered(samples, *sizes):
    """Return an array whose values are the number of their sample."""
    shape = (samples, *(1 for _ in sizes))
    return np.broadcast_to(np.arange(samples, dtype=float).reshape(shape), (samples, *sizes))


@pytest.mark.parametrize(("samples", "batch"), [(1, 1), (5, 5), (8, 8), (50, 8)])
def test_the_default_is_at_most_the_samples_that_there_are(samples, batch):
    calls, traced = taken([numbered(samples, 3)])
    assert traced.batch == batch
    assert [x.shape for (x,) in calls] == [(batch, 3)] * 6
    assert taken(["Bx3"])[1].batch == 8


def test_all_samples_are_taken_if_the_batch_is_their_number():
    calls, _ = taken([numbered(9, 3)], batch=9)
    for (x,) in calls:
        assert x[:, 0].tolist() == [*range(9)]


def test_every_trial_takes_its_own_samples_the_same_of_all_arrays():
    x, mask = numbered(50, 3), numbered(50, 2, 2)
    calls, _ = taken([x, "Bx4", mask], trials=200)
    found = []
    for first, drawn, second in calls:
        own = first[:, 0].tolist()
        assert second[:, 0, 0].tolist() == own
        assert len({*own}) == len(own) == len(drawn) == 8
        found.append(tuple(own))
    # There are over 5e8 subsets, so that two of 200 are equal with a probability of 4e-5; a sample
    # is in none of them with one of 50 * 0.84**200 < 1e-13.
    assert len({*found}) == 200
    assert {*np.ravel(found)} == {*range(50)}
    again, _ = taken([x, "Bx4", mask], trials=200)
    other, _ = taken([x, "Bx4", mask], trials=200, seed=1)
    assert [tuple(call[0][:, 0]) for call in again] == found
    assert [tuple(call[0][:, 0]) for call in other] != found


def test_too_few_samples_are_refused():
    words = "batch is 8, but must be at most 4, the samples in the data; use batch 4"
    with pytest.raises(InvalidValueError, match=words):
        taken([numbered(4, 3)], batch=8)


def test_different_numbers_of_samples_are_refused():
    words = (
        "number of samples of mask is 40, but must be 50, that of x; "
        "give every argument the same samples"
    )
    for inputs in ([numbered(50, 3), numbered(40, 2)], {"x": numbered(50), "mask": numbered(40)}):
        with pytest.raises(InvalidValueError, match=words):
            taken(inputs)


def digest(values):
    """Return the digest of an array as the documented bytes: its shape, then its values."""
    rows = np.ascontiguousarray(values).astype("<f8") + 0.0
    head = f"{len(rows)} {rows[0].size}\n"
    return f"sha256:{hashlib.sha256(head.encode() + rows.tobytes()).hexdigest()}"


def found_digest(inputs):
    return taken(inputs, trials=1)[1].summary.inputs_digest


def test_the_digest_of_the_content():
    x, mask = numbered(50, 3), numbered(50, 2, 2)
    assert found_digest([x]) == digest(x)
    assert found_digest([x[:8].astype(np.float32), "Bx3"]) == digest(x[:8])
    assert found_digest([np.negative(x[:8] * 0.0)]) == digest(x[:8] * 0.0)
    words = "".join(f"{name} {digest(value)}\n" for name, value in (("mask", mask), ("x", x)))
    both = f"sha256:{hashlib.sha256(words.encode()).hexdigest()}"
    assert found_digest([x, mask]) == found_digest({"mask": mask, "x": x}) == both
    assert found_digest([x[:, :2], mask]) != found_digest([x[:, :2] + 1.0, mask])
    assert found_digest([x + 1.0j]) != found_digest([x + 2.0j])
    assert found_digest(["Bx5"]) is None
    assert found_digest(None) is None
    assert found_digest([np.array(["a", "b"])]) is None


def test_arrays_without_values_are_refused():
    for shape in ((4, 0), (4, 3, 0)):
        for dtype in (int, np.float32):
            with pytest.raises(InvalidValueError, match="a shape without 0"):
                found_digest([np.empty(shape, dtype)])
