"""The types of floating numbers in files of weights, and how each becomes float32 or float64.

numpy lacks bfloat16 and both kinds of float8. Their bits are read as integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Dtype:
    """A type: its `name`, how numpy holds it (`raw`), the bits of its fraction, and `widen`, which
    makes float32 or float64 of raw values."""

    name: str
    raw: Any
    fraction: int
    widen: Callable[[Array], Array]

    @property
    def epsilon(self) -> float:
        """The distance from 1 to the next number."""
        return 2.0**-self.fraction


def _same(raw: Array) -> Array:
    return raw


def _single(raw: Array) -> Array:
    return raw.astype(np.float32)


def _bfloat16(raw: Array) -> Array:
    # The first half of a float32.
    return (raw.astype(np.uint32) << 16).view(np.float32)


def _float8_e5m2(raw: Array) -> Array:
    # The first half of a float16.
    return (raw.astype(np.uint16) << 8).view(np.float16).astype(np.float32)


@cache
def _float8_e4m3() -> Array:
    """Return the values of all 256 codes: without infinities, and NaN where all other bits are 1
    (arXiv:2209.05433)."""
    codes = np.arange(256)
    exponent, fraction = codes >> 3 & 15, (codes & 7) / 8.0
    size = np.where(exponent > 0, (1.0 + fraction) * 2.0 ** (exponent - 7.0), fraction * 2.0**-6)
    size[codes & 127 == 127] = np.nan
    return np.where(codes < 128, size, -size).astype(np.float32)


def _from_float8_e4m3(raw: Array) -> Array:
    return np.asarray(_float8_e4m3()[raw])


DTYPES: Mapping[str, Dtype] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Dtype("float64", np.float64, 52, _same),
            Dtype("float32", np.float32, 23, _same),
            Dtype("float16", np.float16, 10, _single),
            Dtype("bfloat16", np.uint16, 7, _bfloat16),
            Dtype("float8_e4m3fn", np.uint8, 3, _from_float8_e4m3),
            Dtype("float8_e5m2", np.uint8, 2, _float8_e5m2),
        )
    }
)
