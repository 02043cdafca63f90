"""The memory that files of weights take, in processes that are not given more.

What a file holds is mapped, which takes none of a process's own.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.peak import run_alone
from tests.sources.files import safetensors

# A process that may take so many bytes of data beyond what it has after a first file. Data are what
# it may write to: a map of a file is none.
PROGRAM = """
import resource, sys, warnings
from pathlib import Path
import snstat

snstat.weights("small.safetensors")
lines = Path("/proc/self/status").read_text("ascii").splitlines()
held = next(int(line.split()[1]) for line in lines if line.startswith("VmData"))
limit = held * 1024 + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
found = snstat.weights(sys.argv[1])
for tensor in found.tensors:
    print(tensor.name, tensor.dead_rows.count, repr(tensor.spectral_norm))
"""


def told(path, most, folder):
    """Return the dead rows and the largest singular value of each tensor of a file, by its name,
    read with at most so many bytes."""
    small = np.random.default_rng(1).standard_normal((700, 700))
    both = {"a": small, "b": small.astype(np.float32)}  # for which BLAS takes its own memory
    (folder / "small.safetensors").write_bytes(safetensors(both))
    done = run_alone("-c", PROGRAM, str(path), str(int(most)), cwd=folder, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = (line.split() for line in done.stdout.splitlines())
    return {name: (int(dead), float(norm)) for name, dead, norm in rows}


def product(units, fan_in):
    """Return a matrix whose largest singular value is soon found, as it is the only one."""
    rng = np.random.default_rng(0)
    sides = rng.uniform(1.0, 2.0, (units, 1)), rng.uniform(1.0, 2.0, fan_in)
    return (sides[0] * sides[1]).astype(np.float32), float(
        np.linalg.norm(sides[0]) * np.linalg.norm(sides[1])
    )


def short(values, code):
    """Return values as a type holds them, as its bits where numpy lacks it."""
    if code == "BF16":
        return (values.view(np.uint32) >> 16).astype(np.uint16)
    if code == "F8_E5M2":
        return (values.astype(np.float16).view(np.uint16) >> 8).astype(np.uint8)
    return values.astype({"F64": np.float64, "F32": np.float32, "F16": np.float16}[code])


# The relative error of values of each type that were cut, not rounded, to it.
CODES = {"F64": 1e-6, "F32": 1e-6, "F16": 2**-11, "BF16": 2**-7, "F8_E5M2": 2**-2}


@pytest.mark.slow
@pytest.mark.parametrize(("code", "sides"), [
    *((code, (4096, 4096)) for code in CODES), ("F16", (6000, 6000)), ("BF16", (6000, 6000)),
])  # fmt: skip
def test_no_more_than_the_largest_tensor_is_taken(code, sides, tmp_path):
    """Short types are multiplied in float32, and above 2²⁵ values in blocks."""
    values, norm = product(*sides)
    array = short(values, code)
    held = array.nbytes if array.size > 2**25 else max(array.nbytes, values.nbytes)
    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors({"a": array}, codes={"a": code}))
    found = told(path, 1.1 * held, tmp_path)
    assert found == {"a": (0, pytest.approx(norm, rel=CODES[code]))}


@pytest.mark.slow
def test_the_files_of_an_index_are_not_held_together(tmp_path):
    values, norm = product(2048, 4096)
    names = "abcd"
    for name in names:
        (tmp_path / f"{name}.safetensors").write_bytes(safetensors({name: values}))
    index = tmp_path / "model.safetensors.index.json"
    places = {name: f"{name}.safetensors" for name in names}
    index.write_text(json.dumps({"weight_map": places}), "utf-8")
    found = told(index, 1.1 * values.nbytes, tmp_path)
    assert found == dict.fromkeys(names, (0, pytest.approx(norm, rel=1e-6)))


@pytest.mark.slow
def test_a_tensor_of_more_than_two_gib(tmp_path):
    """Its last row, the only one that is not 0, lies beyond 2³¹ bytes; the file is sparse."""
    units, fan_in = 2**14 + 1, 2**14
    row = np.random.default_rng(0).standard_normal(fan_in)
    size = units * row.nbytes
    entry = {"w": {"dtype": "F64", "shape": [units, fan_in], "data_offsets": [0, size]}}
    header = json.dumps(entry).encode().ljust(128)
    path = tmp_path / "w.safetensors"
    with Path(path).open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.seek(size - row.nbytes, 1)
        file.write(row.tobytes())
    assert size > 2**31
    # Far less than the tensor does it.
    found = told(path, size / 16, tmp_path)
    assert found == {"w": (2**14, pytest.approx(np.linalg.norm(row), rel=1e-6))}
