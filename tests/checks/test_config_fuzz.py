"""Thousands of damaged configurations: each is loaded or raises SnstatError, within seconds.

SNSTAT_FUZZ_EXAMPLES sets how many each test tries.
"""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snstat.checks.config import find_config, load_config
from snstat.checks.config_keys import KEYS
from snstat.errors import SnstatError

EXAMPLES = int(os.environ.get("SNSTAT_FUZZ_EXAMPLES", "400"))
# Time limit per file in seconds. Milliseconds are usual; the rest allows for a busy machine.
LIMIT = 10.0

VALID = (
    b"""\
# Checks of this project.
[check]
width = 256
trials = 4
select = ["SN101", 'SN102']

[check."first"] # "of two"
activation = 'selu'
depth = 64
weight-gain = 1.0
inputs = "data/x.npy"
same_seed = false

[check.second]
activation = \"""relu\"""
baseline = '''base.json'''
gradient-decades = 3
""",
    b"""\
[project]
name = "x"
version = "1.0"
dependencies = [
  "a>=1", # [tool.snstat.check]
  "b",
]
[[tool.other.list]]
text = \"""
[tool.snstat.check.no]
\"""
[tool.snstat.check]
depth = 3
backward = true
a.b = { depth = 3, "width" = 4 }
when = 1979-05-27T07:32:00Z
""",
    b"check.a.depth = 0x10\r\ncheck = { b = { bias_std = 1e-3 } }\r\n",
)
PIECES = st.sampled_from(
    [
        *(character.encode() for character in "\"'#[]{}=.,\\\n\r\t \0_-"),
        *(b'"""', b"'''", b"[[", b"]]", b"\\u0000", b"\\U0010ffff", b"\r\n"),
        *(b"nan", b"-inf", b"true", b"9" * 30, b"9" * 5000, b"0x" + b"f" * 9000, b"1e999"),
        *(b"[" * 3000, b"{a=" * 3000, b"a." * 3000, b"\xff", b"\xc3", b"\xef\xbb\xbf"),
        *(b"check", b"[check]", b"[check.a]", b"[tool.snstat.check.a]", b"\xe2\x80\xa8"),
        *(f"{key} = ".encode() for key in KEYS),
    ]
)
# What is done to a file, at which position, over how many bytes, and with which piece.
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "repeat", "insert", "replace"]),
        st.floats(0.0, 1.0),
        st.integers(1, 40),
        PIECES,
        st.integers(1, 255),
    ),
    min_size=1,
    max_size=6,
)

OPTIONS = {key.replace("-", "_") for key in KEYS}

fuzz = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def edited(data, edits):
    for action, where, length, piece, bits in edits:
        start = int(where * len(data))
        end = start + length
        middle = {
            "flip": bytes(byte ^ bits for byte in data[start:end]),
            "cut": b"",
            "repeat": data[start:end] * 3,
            "insert": piece + data[start:end],
            "replace": piece,
        }[action]
        data = data[:start] + middle + data[end:]
    return data


def survives(path, data):
    """Load `data` from a file: the result is checks or one line, never another exception."""
    path.write_bytes(data)
    start = time.monotonic()
    try:
        checks = load_config(path)
    except SnstatError as error:
        checks, complaint = [], str(error)
    else:
        complaint = ""
    assert time.monotonic() - start < LIMIT
    assert len(complaint.splitlines()) <= 1
    assert len(complaint) < 5000
    for check in checks:
        assert set(check.options) <= OPTIONS
        line = data.decode().replace("\r\n", "\n").split("\n")[check.source.line - 1]
        # A header, or the first line where there is none.
        assert line.lstrip().startswith("[") or check.source.line == 1


@pytest.fixture(params=["pyproject.toml", "snstat.toml"])
def path(request, tmp_path):
    (tmp_path / ".git").touch()
    return tmp_path / request.param


@fuzz
@given(st.sampled_from(VALID), EDITS)
def test_edited_files(path, data, edits):
    survives(path, edited(data, edits))


@fuzz
@given(
    st.lists(
        st.tuples(st.sampled_from([*KEYS, "x", '"a b"', "a.b"]), PIECES).map(
            lambda pair: pair[0].encode() + b" = " + pair[1] + b"\n"
        ),
        max_size=4,
    )
)
def test_unexpected_values(path, statements):
    header = b"[tool.snstat.check.a]\n" if path.name == "pyproject.toml" else b"[check.a]\n"
    survives(path, header + b"".join(statements))


@fuzz
@given(st.binary(max_size=200))
def test_any_bytes(path, data):
    survives(path, data)


@fuzz
@given(st.sampled_from(VALID), EDITS)
def test_search_among_edited_files(path, data, edits):
    path.write_bytes(edited(data, edits))
    try:
        found = find_config(path.parent)
    except SnstatError:
        return
    assert found in {None, path}
