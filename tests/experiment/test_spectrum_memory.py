"""The memory that singular values of one sample of a batch take, against what numpy allocates."""

from __future__ import annotations

import tracemalloc

import pytest

import snstat
from snstat.errors import InvalidValueError
from snstat.experiment import spectrum_methods
from snstat.network.network import Network

PARTS = ({"kind": "dense", "width": 48}, {"kind": "batch_norm"}, {"kind": "dense", "width": 48})
NETWORK = Network.read({"input": {"channels": 48}, "layers": list(PARTS)})


def options_of(batch, method):
    return {
        "batch": batch, "method": method, "layers": 3, "steps": 2, "trials": 2, "threads": 1,
    }  # fmt: skip


@pytest.mark.parametrize("method", ["exact", "lanczos"])
def test_no_batch_takes_more_than_is_reckoned(monkeypatch, method):
    needed = []
    monkeypatch.setattr(spectrum_methods, "require_memory", lambda own, _: needed.append(own))
    peaks = []
    for batch in (2, 2, 1024):  # the first one loads what is loaded once
        tracemalloc.start()
        snstat.spectrum(NETWORK, **options_of(batch, method))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    (_, small, large), (_, few, many) = needed, peaks
    assert few < small
    assert many < large
    # One read-out of 1,024 samples is four times as much as 48 of two samples, 16 of them more.
    assert many > 2 * few


@pytest.mark.parametrize("method", ["exact", "lanczos"])
def test_a_batch_beyond_memory_is_refused(monkeypatch, method):
    """What is free lies between what 2 and 1,024 samples need."""
    needed = []
    with monkeypatch.context() as patched:
        patched.setattr(spectrum_methods, "require_memory", lambda own, _: needed.append(own))
        for batch in (2, 1024):
            snstat.spectrum(NETWORK, **options_of(batch, method))
    room = sum(needed) / 2
    monkeypatch.setattr("snstat.limits.physical_memory", lambda: room)
    assert needed[0] < room < needed[1]
    with pytest.raises(InvalidValueError, match=r"memory needed.*a smaller batch, or a narrower"):
        snstat.spectrum(NETWORK, **options_of(1024, method))
