"""Conversion of a caller's data to an array of real numbers, or an error that explains why not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.errors import InvalidValueError

# Kind of a dtype → what it holds, and the remedy.
CURES = {
    "c": ("complex numbers", "take the real part, the imaginary part or the absolute value"),
    "O": (
        "Python objects",
        "replace missing values and values that are not numbers, then convert with .astype(float)",
    ),
    "S": ("text", "convert the text to numbers with .astype(float)"),
    "U": ("text", "convert the text to numbers with .astype(float)"),
    "T": ("text", "convert the text to numbers with .astype(float)"),
    "M": ("dates", "convert them to numbers first, such as days since the first"),
    "m": ("time spans", "divide by a unit first, such as numpy.timedelta64(1, 's')"),
    "V": ("raw bytes", "save or view them as float32"),
}
STRUCTURED = (
    "named fields",
    "make columns of them with numpy.lib.recfunctions.structured_to_unstructured",
)


def as_array(value: Any) -> npt.NDArray[Any]:
    """Return data given in Python as an array. `value` is a numpy array, another array or lists.

    PyTorch tensors are detached, types that numpy lacks (bfloat16, float8) are widened to float32,
    and quantised ones are dequantised. A masked array with no masked value is used as it is. Raises
    InvalidValueError for masked values, rows of unequal lengths, sparse arrays, tensors without
    values, and anything that is not an array.
    """
    if isinstance(value, np.ma.MaskedArray):
        return _unmasked(value)
    if _is_tensor(value):
        return _of_tensor(value)
    if hasattr(value, "toarray"):
        raise InvalidValueError(
            "inputs", f"a sparse {type(value).__name__}", "a dense array", "give inputs.toarray()"
        )
    if isinstance(value, list | tuple):
        value = [_of_row(row) for row in value]
    try:
        return np.asarray(value)
    # An object of the caller may raise any error.
    except Exception as error:  # noqa: BLE001
        raise _no_array(value, error) from None


def require_real(data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return `data` with a dtype of real numbers that numpy computes with.

    Raises InvalidValueError, with the remedy, for all others.
    """
    if data.dtype.kind in "fiub":
        return data
    if data.dtype.kind == "V" and not data.dtype.names and data.dtype.name[:1] in "bfiu":
        try:
            return data.astype(np.float32)  # such as bfloat16 of other libraries
        except (TypeError, ValueError):
            pass
    what, cure = STRUCTURED if data.dtype.names else CURES.get(data.dtype.kind, CURES["O"])
    raise InvalidValueError("dtype of inputs", f"{what} ({data.dtype})", "a real number type", cure)


def _unmasked(value: np.ma.MaskedArray[Any, Any]) -> npt.NDArray[Any]:
    mask = np.ma.getmaskarray(value)
    count = int(np.count_nonzero(mask))
    if count:
        raise InvalidValueError(
            "inputs",
            f"masked in {count:,} of {mask.size:,} values",
            "data without masked values",
            "fill them with inputs.filled(0), or remove their rows with"
            " numpy.ma.compress_rows(inputs)",
        )
    return np.asarray(value.data)


def _of_row(row: Any) -> Any:
    """Return an element of a list, which may be an array of another library or a list itself."""
    if isinstance(row, np.ma.MaskedArray):
        return _unmasked(row)
    if _is_tensor(row):
        return _of_tensor(row)
    return [_of_row(value) for value in row] if isinstance(row, list | tuple) else row


def _is_tensor(value: Any) -> bool:
    """Return whether `value` behaves as a tensor of PyTorch, which need not be installed."""
    return hasattr(value, "detach") and hasattr(value, "numpy")


def _of_tensor(value: Any) -> npt.NDArray[Any]:
    """Return the values of a PyTorch tensor, without importing PyTorch."""
    if getattr(value, "is_meta", False):
        cure = "give one of a device that holds numbers, such as the CPU"
        raise InvalidValueError("inputs", "a meta tensor", "a tensor with values", cure)
    if getattr(value, "is_nested", False):
        cure = "pad it with torch.nested.to_padded_tensor(inputs, 0.0)"
        raise InvalidValueError("inputs", "a nested tensor", "rows of equal length", cure)
    try:
        tensor = value.detach().cpu()
        if "sparse" in str(getattr(tensor, "layout", "")):
            tensor = tensor.to_dense()
        if getattr(tensor, "is_quantized", False):
            tensor = tensor.dequantize()
        try:
            return np.asarray(tensor.numpy(force=True))
        except TypeError:  # a type that numpy lacks
            tensor = tensor.cfloat() if tensor.is_complex() else tensor.float()
            return np.asarray(tensor.numpy(force=True))
    except Exception as error:  # noqa: BLE001  # as above
        raise InvalidValueError(
            "inputs",
            f"a tensor of {getattr(value, 'dtype', 'unknown type')}",
            "a tensor that can be read",
            f"convert it to a numpy array of numbers ({type(error).__name__})",
        ) from None


def _no_array(value: Any, error: Exception) -> InvalidValueError:
    """Return the error for a `value` that numpy cannot convert to an array."""
    if isinstance(value, list | tuple):
        lengths = [len(row) if hasattr(row, "__len__") else None for row in value]
        odd = next((n for n, length in enumerate(lengths) if length != lengths[0]), None)
        if odd is not None:
            words = [
                "is not a list" if n is None else f"has {n:,} values"
                for n in (lengths[0], lengths[odd])
            ]
            return InvalidValueError(
                "inputs",
                f"rows of unequal lengths: row 0 {words[0]}, row {odd} {words[1]}",
                "rows of equal length",
                "pad or cut them",
            )
    return InvalidValueError(
        "inputs",
        f"a {type(value).__name__} that numpy cannot read ({type(error).__name__})",
        "an array of shape (samples, width)",
    )
