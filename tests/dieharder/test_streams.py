"""dieharder reads the generator's words, and its reports are parsed correctly."""

from __future__ import annotations

import itertools
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snstat.engine.kernels import random
from tests.dieharder.report import Result, results
from tests.dieharder.streams import STREAMS, chunks
from tests.dieharder.weak import p_values
from tests.engine import oracle

CHECKOUT = Path(__file__).parents[2]
# Block number -> (key, index), by the names of the streams.
ORDER = {
    "one-key": lambda i: (0, i),
    "interleaved-keys": lambda i: (i % 64, i // 64),
    "stepped-counters": lambda i: (0, 64 * i),
}


def expected(stream, first, blocks, seed=0):
    places = [ORDER[stream](i) for i in range(first, first + blocks)]
    return [oracle.words(index, 0, 1, 0, seed + key) for key, index in places]


@pytest.mark.parametrize("stream", STREAMS)
# The last start is shortly before the index needs its second word.
@pytest.mark.parametrize("first", [0, 2**26 - 70, 2**32 - 70, 2**38 - 70])
def test_streams_match_plain_python(stream, first):
    seed = 2**32 - 3  # the keys cross into their second word
    made = itertools.islice(chunks(stream, seed=seed, first=first, blocks=70), 2)
    words = np.concatenate([chunk.copy() for chunk in made])
    np.testing.assert_array_equal(words, expected(stream, first, 140, seed))


@pytest.mark.parametrize("stream", STREAMS)
def test_streams_contain_the_words_behind_drawn_rows(stream):
    words = next(chunks(stream, blocks=256))
    keys, step = STREAMS[stream]
    # A float64 uniform on (−1, 1) determines its first word; a row of 2 · step columns has step
    # blocks.
    rows = np.empty((256 // keys, 2 * step))
    for key in range(keys):
        law, draw = (
            random.Law(random.UNIFORM, 1 / math.sqrt(3.0)),
            random.Draw(np.uint64(key), 0, 1),
        )
        random.draw_rows(rows, 0, law, random.WEIGHTS, draw)
        for word, column in ((0, 0), (2, step)):
            found = words[key::keys, word] * 2.0**-31 - 1.0
            np.testing.assert_allclose(rows[:, column], found, rtol=0, atol=2.0**-30)


def test_a_closed_pipe_ends_the_stream_quietly():
    command = [sys.executable, "-m", "tests.dieharder.streams", "interleaved-keys"]
    # Millions of blocks are too many for plain Python.
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "0"}
    with subprocess.Popen(
        command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        head = process.stdout.read(1600)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0
    np.testing.assert_array_equal(
        np.frombuffer(head, np.uint32).reshape(100, 4), expected("interleaved-keys", 0, 100)
    )


REPORT = """
        test_name   |ntup| tsamples |psamples|  p-value |Assessment
#=============================================================================#
        diehard_sums|   0|       100|     100|0.00000004|  FAILED
      rgb_lagged_sum|   6|   1000000|     100|0.99880288|   WEAK
"""


def test_a_doubtful_result_is_repeated_with_more_samples():
    sums, lagged = results(REPORT)
    assert sums == Result("diehard_sums", 0, 100, 4e-8, "FAILED")
    assert sums.options == ("-d", "diehard_sums", "-p", "500", "-k", "1")
    assert lagged.assessment == "WEAK"
    assert lagged.options == ("-d", "rgb_lagged_sum", "-n", "6", "-p", "500", "-k", "1")


@pytest.mark.parametrize("stream", STREAMS)
def test_kept_reports_are_complete_and_repeat_doubtful_tests(stream):
    text = (CHECKOUT / "docs" / "dieharder" / f"{stream}.txt").read_text("utf-8")
    parts = re.split(r"^python .* \| dieharder -g 200 (.*)\n", text, flags=re.MULTILINE)[1:]
    reports = {
        options: list(results(part)) for options, part in zip(parts[::2], parts[1::2], strict=True)
    }
    assert len(reports["-a"]) == 114  # the number of results in version 3.31.1
    for found in itertools.chain(*reports.values()):
        assert found.assessment != "FAILED"
        # A third doubtful result would need more than a repetition.
        assert found.assessment == "PASSED" or " ".join(found.options) in reports


def test_p_values_match_dieharder():
    # Output of `dieharder -g 200 -d sts_monobit -p 10 -D 511 -D 65536` on the stream one-key.
    samples = """0.15104885 0.23404077 0.25726064 0.55026775 0.69098460
                 0.76355285 0.77039202 0.92250708 0.96087263 0.99276021"""
    (found,) = p_values(np.array([samples.split()], dtype=float))
    # The samples are printed to eight digits.
    np.testing.assert_allclose(found, 0.55425064, rtol=0, atol=1e-6)


def test_a_missing_dieharder_gives_one_line(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "tests.dieharder.report"],
        cwd=CHECKOUT,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr == "dieharder is not installed; try: apt-get install dieharder\n"
