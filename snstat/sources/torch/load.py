"""Weights of a file in a module: names and shapes must agree, and nothing is unpickled but by the
readers of weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Sequence

import numpy as np
import torch
from torch import nn

from snstat.errors import InputFileError, quoted
from snstat.sources.torch.modules import lazy
from snstat.sources.weights.opening import open_weights
from snstat.sources.weights.tensor import Tensor

# Names that an error lists.
MOST_NAMED = 3
REMEDY = "save model.state_dict() of the same module"


def load_weights(
    model: nn.Module, path: str | os.PathLike[str], max_bytes: int | None = None
) -> tuple[str, tuple[str, ...]]:
    """Put the floating tensors of a file into a module, by the names of its state dict. Returns the
    digest of what was put there, which does not depend on the format of the file, and notes.

    All names may have a prefix, which must be the only one that fits. Parameters that share a
    tensor need one of their names. Tensors of whole numbers, such as counters, stay as they are.
    Raises InputFileError for names or shapes that differ.
    """
    tensors = {tensor.name: tensor for tensor in open_weights(path, max_bytes)}
    state = {
        name: value
        for name, value in model.state_dict(keep_vars=True).items()
        if isinstance(value, torch.Tensor)
    }
    name = os.fsdecode(path)
    if lazy(model):
        reason = "cannot be compared with a module whose shapes its first input decides"
        raise InputFileError(name, reason, "build it with all shapes given")
    floating = {key: value for key, value in state.items() if value.is_floating_point()}
    found = _prefixes(floating, tensors)
    if len(found) > 1:
        shown = " and ".join(quoted(prefix) if prefix else "no prefix" for prefix in found[:2])
        more = f" and {len(found) - 2:,} more" if len(found) > 2 else ""
        reason = f"has the names of the module {len(found):,} times: under {shown}{more}"
        raise InputFileError(name, reason, "save the weights of one of them by themselves")
    prefix = found[0] if found else ""
    tensors = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
    read = {key: tensor for key, tensor in tensors.items() if tensor.read is not None}
    _require_names(name, floating, read)
    for key in floating.keys() & read.keys():
        if tuple(floating[key].shape) != read[key].shape:
            reason = f"holds {quoted(key)} of shape {_sizes(read[key].shape)}, where the module has"
            raise InputFileError(name, f"{reason} {_sizes(floating[key].shape)}", REMEDY)
    digest = hashlib.sha256()
    with torch.no_grad():
        for key in sorted(floating.keys() & read.keys()):
            floating[key].copy_(_values(key, read[key], digest))
    others = [key for key in tensors if key not in read]
    notes = [f"the weights are those under {quoted(prefix)} in {name}"] if prefix else []
    if others:
        notes.append(f"{_few(others)} of {name} are no floating numbers, and stay as built")
    return f"sha256:{digest.hexdigest()}", tuple(notes)


def _prefixes(own: Collection[str], there: Collection[str]) -> list[str]:
    """Return what stands before all names of a module in a file: "module." of DataParallel,
    "state_dict.model." of a checkpoint of Lightning, "" where names are the module's."""
    first = next(iter(own), "")
    return [
        prefix
        for prefix in (key.removesuffix(first) for key in there if key.endswith(first))
        if (not prefix or prefix.endswith(".")) and all(prefix + key in there for key in own)
    ]


def _require_names(path: str, own: dict[str, torch.Tensor], read: dict[str, Tensor]) -> None:
    found = {id(value) for key, value in own.items() if key in read}
    missing = [key for key, value in own.items() if key not in read and id(value) not in found]
    unexpected = [key for key in read if key not in own]
    faults = [
        f"{words} {_few(names)}"
        for words, names in (("lacks", missing), ("holds unexpected", unexpected))
        if names
    ]
    if faults:
        raise InputFileError(path, " and ".join(faults), REMEDY)


def _few(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    shown = ", ".join(quoted(name) for name in names[:MOST_NAMED])
    return shown + (f" and {more:,} more" if more > 0 else "")


def _sizes(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape)) or "()"  # the sign of products


def _values(name: str, tensor: Tensor, digest: hashlib._Hash) -> torch.Tensor:
    """Return the values of a tensor, and add name, shape, type and values to a digest."""
    if tensor.read is None:
        raise AssertionError("only what can be read is put into a module")
    raw = np.ascontiguousarray(tensor.read())
    raw = raw.astype(raw.dtype.newbyteorder("="), copy=False)
    digest.update(f"{name!r} {tensor.shape} {tensor.dtype}\n".encode())
    digest.update(raw.reshape(-1).view(np.uint8).data)
    # A copy, because what is mapped cannot be written to.
    return torch.from_numpy(np.array(tensor.format.widen(raw)).reshape(tensor.shape))
