"""Files in numpy's formats with false shapes, dtypes or compressed sizes."""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

SIDES = (0, 1, 2, 3, 5, 6, 7, -1, True, 2**31, 2**40, 2**62, 2**63, 10**12, 10**400, 1.5, None, "6")
DTYPES = (
    "<f4", ">f4", "<f8", ">f8", "<f2", "|i1", "|u1", "|b1", "<i8", ">u2", "<c8", "<f16", "|O", "O",
    "|S5", "<U3", "|V4", "|V0", "|S0", "<M8[ns]", "<m8", "f4,f4", "(2,3)f4", "(1000000,1000000)f8",
    "2147483647f8", "<f3", "nonsense", "", ("<f4", (2,)), [("a", "<f4")], [("x", "|O")], None, 4,
    {"names": ["a"]}, "<f4" * 3000, [("a", "<f4", (10**9,))],
)  # fmt: skip
VERSIONS = ((1, 0), (1, 0), (1, 0), (2, 0), (3, 0), (0, 0), (4, 0), (255, 255))
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
NAMES = ("inputs.npy", "arr_0.npy", "x", " ", "../x.npy", "\x1b[31m.npy", "a" * 60_000, "ü.npy")


class Canary:
    """An object that creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def npy(header: str, payload: bytes, version: tuple[int, int] = (1, 0)) -> bytes:
    """Return a .npy file with this header, valid or not."""
    text = header.encode("latin-1", "replace")
    length = "<H" if version[0] == 1 else "<I"
    size = struct.pack(length, min(len(text), 0xFFFF))
    return b"\x93NUMPY" + bytes(version) + size + text + payload


def lie(random: Random, _seed: bytes) -> bytes:
    """Return a .npy with a small payload and a false header."""
    shape: Any = tuple(random.choice(SIDES) for _ in range(random.choice((2, 2, 2, 0, 1, 3, 40))))
    if random.random() < 0.5:
        shape = (6, 5)
    entries: dict[str, Any] = {
        "descr": random.choice(DTYPES) if random.random() < 0.7 else "<f4",
        "fortran_order": random.choice((False, False, True, 1, None, "yes")),
        "shape": shape,
    }
    if random.random() < 0.1:
        entries[random.choice(("extra", "descr", "shape"))] = random.choice(SIDES)
    if random.random() < 0.1:
        del entries[random.choice(list(entries))]
    header = repr(entries)
    match random.randrange(12):
        case 0:
            header = header.replace("(6, 5)", "(6L, 5L)")  # the form that Python 2 wrote
        case 1:
            header = header.replace("6", "(" * random.choice((50, 3000)) + "6")
        case 2:
            header = header.replace("6", "-" * random.choice((50, 9000)) + "6")
        case 3:
            header = header.replace("5", "__import__('os')")
        case 4:
            header = header[: random.randrange(len(header))]
        case 5:
            header += " " * random.choice((10, 60_000))
        case _:
            pass
    payload = np.linspace(-1, 1, 30, dtype=np.float32).tobytes() * random.choice((0, 1, 1, 4))
    return npy(header + "\n", payload, random.choice(VERSIONS))


def unpickle_me(random: Random, seed: bytes, canary: Path) -> bytes:
    """Return a file of Python objects that would create `canary`: raw, in a .npy or an .npz."""
    payload = pickle.dumps(Canary(canary), protocol=random.choice((0, 2, 4)))
    header = repr({"descr": random.choice(("|O", [("a", "|O")])), "fortran_order": False,
                   "shape": random.choice(((1,), (1, 1), ()))})  # fmt: skip
    array = npy(header + "\n", payload)
    return random.choice((payload, array, pack(random, array), array + seed, payload + seed))


def pack(random: Random, array: bytes) -> bytes:
    """Return an .npz that contains `array`, with random names and compression."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", random.choice(METHODS)) as archive:
        for name in random.sample(NAMES, random.choice((1, 1, 1, 2))):
            archive.writestr(_entry(name, archive.compression), array)
    return file.getvalue()


def _entry(name: str, method: int) -> zipfile.ZipInfo:
    """Return an entry with a fixed time stamp."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = method
    return entry


def packed_lie(random: Random, seed: bytes) -> bytes:
    """Return an .npz of a false array."""
    return pack(random, lie(random, seed))


def bomb(random: Random, _seed: bytes) -> bytes:
    """Return an .npz that unpacks, or claims to unpack, to a thousand times its size."""
    rows = random.choice((1, 10, 1000, 2**20))
    size = random.choice((2**20, 2**24, 2**26))
    shape = (rows, size // rows)
    header = repr({"descr": "|u1", "fortran_order": False, "shape": shape}) + "\n"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = _entry("x.npy", zipfile.ZIP_DEFLATED)
        archive.writestr(entry, npy(header, bytes(math.prod(shape))), compresslevel=1)
    return file.getvalue()


def misdirect(random: Random, seed: bytes) -> bytes:
    """Return an .npz whose directory has false sizes, offsets, methods, flags or checksums."""
    data = bytearray(pack(random, seed))
    for _ in range(random.choice((1, 1, 2))):
        # Offsets in the central directory: flags 8, method 10, checksum 16, packed size 20,
        # unpacked size 24, lengths of names 28 and 30, place 42. In its end record: entries 8, size
        # 12, place 16.
        mark, offsets = random.choice((
            (b"PK\1\2", (8, 10, 16, 20, 24, 24, 24, 28, 30, 42)),
            (b"PK\5\6", (8, 10, 12, 16, 20)),
            (b"PK\3\4", (6, 8, 14, 18, 22, 26, 28)),
        ))  # fmt: skip
        place = data.rfind(mark) + random.choice(offsets)
        value = random.choice(
            (b"\xff" * 4, b"\0" * 4, b"\1\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\1")
        )
        data[place : place + 4] = value
    return bytes(data)
