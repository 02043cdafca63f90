"""Reads `*.index.json`: the tensors of one model in several .safetensors files beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snstat.errors import quoted
from snstat.files.json_text import MOST_BYTES, object_in
from snstat.files.npy import DamagedError, failures, require_regular
from snstat.sources.weights.safetensors_file import read_safetensors
from snstat.sources.weights.tensor import Tensor

REMEDY = "give the index that was saved with the files"


def read_index(path: str) -> list[Tensor]:
    """Return the tensors of all files of an index, file by file.

    Raises InputFileError for an index that names a file in another folder, or a tensor that its
    file lacks.
    """
    with failures(path, "index", REMEDY):
        places = object_in(path, MOST_BYTES, "an index", REMEDY).get("weight_map")
        if not isinstance(places, dict) or not places:
            raise DamagedError("has no weight_map", REMEDY)
        shards = dict.fromkeys(_name(shard) for shard in places.values())
        found: dict[str, list[Tensor]] = {}
        for shard in shards:
            beside = str(Path(path).parent / shard)
            require_regular(beside, "put all files of the index into one folder")
            found[shard] = read_safetensors(beside)
        held = {(shard, tensor.name) for shard, tensors in found.items() for tensor in tensors}
        for name, shard in places.items():
            if (shard, name) not in held:
                raise DamagedError(f"names {quoted(name)}, which {shard} lacks", REMEDY)
        return [tensor for tensors in found.values() for tensor in tensors]


def _name(shard: Any) -> str:
    """Return the name of a file beside the index."""
    if not isinstance(shard, str) or not shard.endswith(".safetensors"):
        raise DamagedError(f"names {quoted(shard)}, which is no .safetensors file", REMEDY)
    if any(mark in shard for mark in ("/", "\\", "\0")):
        raise DamagedError(f"names {quoted(shard)}, which is not beside it", REMEDY)
    return shard
