"""Files of weights, written byte by byte as their formats say."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import numpy as np

CODES = {"float64": "F64", "float32": "F32", "float16": "F16", "int8": "I8"}


def safetensors(arrays, *, codes=None, header=None, tail=b""):
    """Return the bytes of a .safetensors file; `codes` name the types of raw integers, and a
    `header` replaces that of the arrays."""
    entries, data = {}, b""
    for name, array in arrays.items():
        code = (codes or {}).get(name) or CODES[array.dtype.name]
        place = [len(data), len(data) + array.nbytes]
        entries[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": place}
        data += np.ascontiguousarray(array).tobytes()
    text = json.dumps(entries).encode() if header is None else header
    return struct.pack("<Q", len(text)) + text + data + tail


def npz(arrays, *, packed=False):
    """Return the bytes of an .npz."""
    file = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(file, **arrays)
    return file.getvalue()


def torch_zip(pickle, *, packed=False):
    """Return the bytes of a .pt whose data are this pickle."""
    file = io.BytesIO()
    how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", how) as archive:
        archive.writestr("archive/data.pkl", pickle)
        archive.writestr("archive/version", b"3\n")
    return file.getvalue()
