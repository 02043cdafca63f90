"""What is left of a run that is interrupted, of a sampler that only counts."""

from __future__ import annotations

import numpy as np
import pytest

from snstat.engine.simulate import run_trials
from snstat.results import MEASURED

DEPTH, TRIALS = 5, 3


class Counting:
    """A sampler whose statistics are the number of the layer, and that fails where it is told."""

    names = MEASURED
    depth = DEPTH
    dtype = np.dtype("float32")

    def __init__(self, fails=None, error=KeyboardInterrupt):
        self.done, self.stop = np.zeros(TRIALS, np.int64), np.zeros(1, np.uint8)
        self.fails, self.error, self.remembers = fails, error, False

    def remember(self):
        self.remembers = True

    def begin(self, number, out):  # noqa: ARG002  # as samplers do
        if self.fails == "begin":
            raise self.error
        out[:] = 0.0
        return True

    def advance(self, trials, first, out, finite):
        if self.fails == first:
            raise self.error
        for place in range(out.shape[1]):
            out[:, place], finite[:, place] = first + place, True
        self.done[trials.start : trials.stop] += out.shape[1]

    def way_back(self, trials):
        if self.fails == "way back":
            raise self.error
        return np.zeros((len(trials), DEPTH + 1))


def run(sampler):
    return run_trials(
        sampler, sampler.way_back, threads=2, length=2, keep_trials=True, progress=None
    )


@pytest.mark.parametrize(("fails", "layers"), [(None, DEPTH), ("way back", DEPTH), (3, 2)])
def test_what_is_complete_is_kept(fails, layers):
    sampler = Counting(fails)
    measured = run(sampler)
    assert sampler.remembers
    assert measured.interrupted is (fails is not None)
    assert sampler.stop.tolist() == [int(fails is not None)]
    assert (measured.log_gradient is None) is (fails is not None)
    expected = np.repeat(np.arange(layers + 1.0)[:, None], len(MEASURED), axis=1)
    np.testing.assert_array_equal(measured.estimate, expected)
    np.testing.assert_array_equal(measured.values, [expected] * TRIALS)
    assert measured.finite.tolist() == [True] * (layers + 1)


def test_an_interrupt_before_the_input_is_raised():
    sampler = Counting("begin")
    with pytest.raises(KeyboardInterrupt):
        run(sampler)
    assert sampler.stop.tolist() == [1]


@pytest.mark.parametrize("fails", ["begin", 1, 3, "way back"])
def test_errors_stop_the_other_trials_and_are_raised(fails):
    sampler = Counting(fails, MemoryError)
    with pytest.raises(MemoryError):
        run(sampler)
    assert sampler.stop.tolist() == [1]
