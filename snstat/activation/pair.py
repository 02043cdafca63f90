"""Activations that are a pair of the user's Python functions (φ, φ′), and their names.

A name is "custom:NAME:DIGEST". NAME is the Python name of φ, and DIGEST is a hash of the values of
both functions at fixed points, so that different pairs have different names. A saved run keeps only
the name; an activation read from it has no functions and no theory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.activation.base import Activation, FloatArray
from snstat.activation.structure import Function, structure_of
from snstat.errors import InvalidValueError

CUSTOM = "custom"
NAME = re.compile(rf"{CUSTOM}:[A-Za-z0-9_<>.]{{1,60}}:[0-9a-f]{{8}}")
Pair = tuple[Callable[[Any], Any], Callable[[Any], Any]]

# The points of the digest, and the decimals of its values: rounding differs between machines.
_POINTS = np.concatenate([np.linspace(-20.0, 20.0, 161), np.linspace(-3.03, 3.01, 150)])
_DECIMALS = 6
_ELEMENTWISE = 1e-5
WANTED = "two functions (phi, dphi) of a numpy array, which return an array of its shape"


class PairName(str):  # noqa: SLOT000  # it has an attribute
    """The name of an activation that is a pair of functions, with the activation itself.

    `resolve` finds the functions by this name, wherever a stack or a record carries it.
    """

    activation: Activation

    def __deepcopy__(self, memo: dict[int, Any]) -> PairName:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the name alone, as a file holds it: not every function can be pickled."""
        return str, (str(self),)


def checked(function: Callable[[Any], Any], word: str, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return `function(x)` in the shape and dtype of `x`. Messages call the function `word`.

    Raises InvalidValueError if the function raises, or does not return an array of real numbers of
    the shape of `x`.
    """
    given = x.view()
    given.flags.writeable = False
    name = f"the result of {word}"
    bound = f"an array of real numbers of shape {x.shape}, like its argument"
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(function(given))
    except Exception as error:  # whatever a user's function raises
        words = str(error).splitlines()
        seen = f"{type(error).__name__}: {words[0]}" if words else type(error).__name__
        raise InvalidValueError(name, seen, bound) from error
    if found.dtype.kind not in "fiub":
        raise InvalidValueError(name, f"an array of {found.dtype}", bound)
    if found.shape != x.shape:
        seen = f"of shape {found.shape}"
        cure = "numpy.full_like(x, c) is a constant" if found.ndim == 0 else ""
        raise InvalidValueError(name, seen, bound, cure)
    with np.errstate(all="ignore"):
        return found.astype(x.dtype, copy=False)


def of_pair(pair: Any, argument: str = "activation") -> Activation:
    """Return the activation of a pair (φ, φ′) of functions that map arrays elementwise.

    They are first tried on small arrays of both dtypes. For anything else, raises
    InvalidValueError, which names the argument `argument`.
    """
    if not (isinstance(pair, tuple | list) and len(pair) == 2 and all(map(callable, pair))):
        raise InvalidValueError(argument, pair, f"a name, or {WANTED}")
    try:
        return _of_functions(*pair)
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        return _of_functions.__wrapped__(*pair)


@lru_cache(maxsize=32)
def _of_functions(phi: Callable[[Any], Any], dphi: Callable[[Any], Any]) -> Activation:
    import hashlib  # slow to import, and few activations are a user's own

    functions = []
    digest = hashlib.sha256()
    for function, word in ((phi, "phi"), (dphi, "dphi")):
        _require_elementwise(function, word)
        values = checked(function, word, _POINTS)
        with np.errstate(all="ignore"):
            digest.update((np.round(values, _DECIMALS) + 0.0).tobytes())
        functions.append(_in_double(function, word))
    word = re.sub(r"[^A-Za-z0-9_<>.]", "_", str(getattr(phi, "__name__", "") or "function"))[:60]
    name = PairName(f"{CUSTOM}:{word}:{digest.hexdigest()[:8]}")
    found = structure_of(*functions)
    name.activation = Activation(
        name,
        f"the Python function {word}",
        "given as a pair of functions",
        found.within(functions[0]),
        found.within(functions[1]),
        _unknown,
        kinks=found.kinks,
        flat=found.flat,
        left=found.left,
        right=found.right,
        slopes=found.slopes,
        bend=found.bend,
        tail=True,
        pair=(phi, dphi),
        reach=found.reach,
        underflow=found.underflow(lambda x: checked(dphi, "dphi", x)),
        doubt=found.doubt,
    )
    return name.activation


def of_name(name: str) -> Activation:
    """Return the activation for the name of a pair in a file: no functions and no theory."""
    return Activation(
        name,
        "a pair of functions, which a file does not hold",
        "given as a pair of functions",
        _unknown,
        _unknown,
        _unknown,
        kinks=(-1.0, 0.0, 1.0),
        reach=0.0,
        underflow=0.0,
        doubt="its functions are not in the file",
    )


def require_functions(activation: Activation) -> None:
    """Raise InvalidValueError for a pair if only its name is known."""
    if activation.custom and activation.pair is None:
        raise InvalidValueError(
            "activation",
            activation.name,
            "one whose functions are known",
            "a file holds only the name of a pair of functions, so the run cannot be simulated"
            " again from the file; call snstat.propagate with the pair",
        )


def _unknown(x: npt.ArrayLike) -> FloatArray:
    return np.full(np.shape(x), math.nan)


def _in_double(function: Callable[[Any], Any], word: str) -> Function:
    def elementwise(x: FloatArray) -> FloatArray:
        return checked(function, word, np.atleast_1d(np.asarray(x, np.float64))).reshape(
            np.shape(x)
        )

    return elementwise


def _require_elementwise(function: Callable[[Any], Any], word: str) -> None:
    """Raise InvalidValueError unless each value depends only on its own argument."""
    for dtype in (np.float32, np.float64):
        x = np.linspace(-2.1, 2.3, 15, dtype=dtype).reshape(3, 5)
        whole, part = checked(function, word, x), checked(function, word, x[1:, ::-1].copy())
        if not np.allclose(whole[1:, ::-1], part, rtol=_ELEMENTWISE, atol=1e-6, equal_nan=True):
            seen = "different values for equal numbers elsewhere in the array, or in another call"
            raise InvalidValueError(f"the result of {word}", seen, "elementwise and not random")
