"""A slow BLAS is reported before anything is measured."""

from __future__ import annotations

import pytest

from tests.benchmarks.blas_check import complaint

SOUND = {"architecture": "Zen", "filepath": "libopenblas.so"}
OLD = {"architecture": "Nehalem", "filepath": "libopenblas.so"}


@pytest.mark.parametrize(
    ("environment", "library", "flags", "words"),
    [
        ({"OPENBLAS_CORETYPE": "Haswell"}, SOUND, "flags : avx2", "OPENBLAS_CORETYPE=Haswell"),
        ({"OPENBLAS_L2_SIZE": "256"}, SOUND, "flags : avx2", "env -u OPENBLAS_CORETYPE"),
        ({}, OLD, "flags : sse avx2", "Nehalem"),
        ({}, OLD, "flags : sse", ""),
        ({}, SOUND, "flags : sse avx2", ""),
        ({}, {"filepath": "libgomp.so"}, "flags : avx2", ""),
    ],
)
def test_the_complaint_names_the_cause(environment, library, flags, words):
    found = complaint(environment, [library], flags)
    assert words in found
    assert bool(found) == bool(words)
