"""A process of its own that opens files which were made to do harm, and what each cost."""

from __future__ import annotations

import json
import os

import numpy as np

from tests.peak import run_alone
from tests.sources.files import npz

# CPU seconds, which do not depend on what else the machine does, and bytes.
MOST_SECONDS, MOST_BYTES = 1.0, 300e6
# What is imported and compiled for the first file is not of the attacks.
PROGRAM = """
import json, os, resource, sys, time
from snstat.cli import run

modules, own, *files = sys.argv[1:]
for name in modules.split():
    __import__(name)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

run(["weights", own, "-o", os.devnull, "-f", "json"])
told = []
for name in files:
    before, began = peak(), time.process_time()
    code = run(["weights", name])
    told.append([name, code, time.process_time() - began, peak() - before])
    print("--", file=sys.stderr, flush=True)
print(json.dumps(told))
"""


def assert_cheap(folder, files, modules=""):
    """Assert that each of the files in a folder, which may be the working folder, is refused with
    exit code 2 in one line, within a second and 300 MB, and that nothing is made in the folder."""
    own = folder / "honest.npz"
    own.write_bytes(npz({"a": np.random.default_rng(0).standard_normal((200, 300))}))
    before = sorted(os.listdir(folder))  # noqa: PTH208  # names as they are
    done = run_alone("-c", PROGRAM, modules, own.name, *files, cwd=folder, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(os.listdir(folder)) == before  # noqa: PTH208
    told = json.loads(done.stdout)
    assert [name for name, *_ in told] == [*files]
    messages = done.stderr.split("--\n")[-len(told) - 1 : -1]
    for (name, code, seconds, size), message in zip(told, messages, strict=True):
        assert code == 2, name
        assert len([line for line in message.splitlines() if line.startswith("snstat: error")]) == 1
        assert message.count("Traceback") == 0
        assert seconds < MOST_SECONDS, (name, seconds)
        assert size < MOST_BYTES, (name, size)
