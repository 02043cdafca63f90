"""Absurd numbers are refused at once, with their bound, before memory is allocated for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import snstat
from snstat.engine.footprint import footprint
from snstat.errors import InvalidValueError
from snstat.experiment.plan import Plan
from snstat.theory.fixed_points import trajectory
from tests.peak import number_of
from tests.robustness.processes import (
    compiled,
    contents,
    finish,
    limit_memory,
    one_complaint,
)

# Impossible numbers for a stack, with the bound that the message states.
WHOLE = ("0", "-1", "1000000000000", "9" * 400, "nan", "inf", "1.5", "")
REAL = ("nan", "inf", "-inf", "1e400", "1e+200", "", "one")
COMMANDS = {
    "propagate": ("propagate",),
    "check": ("check",),
    "plot": ("plot", "-o", "picture.png"),
    "histogram": ("plot", "-o", "picture.png", "--kind", "histogram"),
    "correlation": ("plot", "-o", "picture.png", "--kind", "correlation"),
}
OF_STACK = {"--depth": "from 1", "--width": "from 1", "--batch": "from 1", "--trials": "from 1"}
CASES = [
    *[
        (name, option, value, bound)
        for name in COMMANDS
        for option, bound in {**OF_STACK, "--threads": "from 1", "--seed": "from 0"}.items()
        for value in WHOLE
        if not (option == "--seed" and value in {"0", "1000000000000"})
    ],
    *[
        (name, "--infinite-width", value, "from 0")
        for name in ("propagate", "check", "plot")
        for value in WHOLE
        if value != "0"
    ],
    *[
        (name, option, value, "finite number")
        for name in COMMANDS
        for option in ("--weight-gain", "--bias-std", "--input-mean", "--input-std")
        for value in REAL
    ],
    *[
        (name, option, value, "from 1")
        for name, option in (("fixedpoint", "--depth"), ("show", "--depth"), ("show", "--width"))
        for value in WHOLE
    ],
    *[
        ("spectrum", option, value, "from 1")
        for option in ("--depth", "--width", "--batch", "--trials", "--threads")
        for value in WHOLE
    ],
    *[
        ("sweep", option, value, "from 1")
        for option in ("--depth", "--seeds", "--threads")
        for value in WHOLE
    ],
    *[("spectrum", "--near-zero", value, "finite number") for value in REAL],
    *[
        ("fixedpoint", option, value, "finite number")
        for option in ("--weight-gain", "--bias-std", "--weight-sum", "--weight-square-sum")
        for value in REAL
    ],
    *[
        ("phase", option, value, "finite number")
        for option in ("--weight-gain", "--bias-std")
        for value in REAL
    ],
    *[
        ("map", option, value, "finite number")
        for option in ("--weight-sum", "--weight-square-sum")
        for value in REAL
    ],
]
COMMANDS |= {
    "fixedpoint": ("fixedpoint",),
    "spectrum": ("spectrum",),
    "sweep": ("sweep",),
    "show": ("show",),
    "map": ("plot", "-o", "picture.png", "--kind", "map"),
    "phase": ("plot", "-o", "picture.png", "--kind", "phase"),
}


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """Run all cases in one process with little memory: (code, output, errors, seconds) of each."""
    folder = tmp_path_factory.mktemp("refused")
    calls = [[*COMMANDS[name], option, value] for name, option, value, _ in CASES]
    program = (
        "import json, sys, time\n"
        "from tests.robustness.fuzzing import call\n"
        "call(['propagate', '-d', '0']); call(['fixedpoint', '-d', '0'])\n"
        "for arguments in json.load(sys.stdin):\n"
        "    began = time.perf_counter()\n"
        "    code, out, err = call(arguments)\n"
        "    print(json.dumps([code, out.decode(), err, time.perf_counter() - began]))\n"
    )
    checkout = str(Path(__file__).parents[2])
    result = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": checkout},
        preexec_fn=limit_memory(2**30),  # no threads
        timeout=300,
    )
    assert result.stderr == ""
    assert contents(folder) == {}
    return dict(zip(CASES, map(json.loads, result.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("name", COMMANDS)
def test_an_absurd_number_is_refused_at_once(refused, name):
    for (command, option, value, bound), (code, out, err, seconds) in refused.items():
        if command != name:
            continue
        assert (code, out) == (2, ""), (option, value)
        complaint = one_complaint(err)
        assert len(complaint) < 500
        if f"{option} cannot be used with --kind" in complaint:  # for any value
            continue
        unread = ("must be a whole number;", "must be a number;")  # for text that is not a number
        assert bound in complaint or any(words in complaint for words in unread)
        # 1e400 is parsed as infinity.
        assert value[:40] in complaint or "inf" in complaint
        assert option.removeprefix("--").replace("-", "_") in complaint.replace("-", "_")
        assert seconds < 2


BEYOND_MEMORY = [
    ("propagate", "-b", "100000000", "-w", "1000000"),
    ("propagate", "-b", "200000000", "-w", "4", "--sampler", "matrix-free"),
    ("propagate", "-b", "10000000", "-w", "100000", "--backward"),
    ("propagate", "-d", "1000000000"),
    ("propagate", "-d", "1000000000", "-w", "1", "-b", "1", "-t", "1", "--layers", "all"),
    ("propagate", "-w", "200000000", "--dtype", "float64", "-t", "10000000"),
    ("plot", "-o", "x.png", "--kind", "histogram", "-b", "100000000", "-w", "1000000"),
    ("plot", "-o", "x.png", "--kind", "histogram", "-d", "1000000000"),
    ("check", "-d", "4", "-w", "8", "--depth-limit", "1000000000"),
    ("spectrum", "--widths", "100000000,4000", "-t", "1"),
]


@compiled
@pytest.mark.parametrize("arguments", BEYOND_MEMORY, ids=" ".join)
def test_runs_beyond_memory_are_refused_before_allocation(tmp_path, arguments):
    began = time.monotonic()
    code, out, err = finish(*arguments, cwd=tmp_path, prepare=limit_memory(2**30))
    assert (code, out) == (2, b"")
    complaint = one_complaint(err)
    assert "GiB', but must be at most" in complaint
    assert "use a smaller" in complaint
    assert time.monotonic() - began < 10  # two seconds, longer on a busy machine
    assert contents(tmp_path) == {}


def test_a_trajectory_beyond_the_bound_is_refused():
    code, _, err = finish("fixedpoint", "--from", "0", "1", "-d", "1000000000")
    assert code == 2
    assert "from 1 to 1000000" in one_complaint(err)
    with pytest.raises(InvalidValueError, match="from 0 to 1000000"):
        trajectory("selu", 0.0, 1.0, 10**9)


@pytest.mark.parametrize(
    "value",
    [10**5000, -(10**5000), "x" * 10**7, [0] * 10**6, b"\x1b" * 999],
    ids=["large", "small", "text", "list", "bytes"],
)
def test_long_values_are_shortened_in_messages(value):
    for arguments in ({"depth": value}, {"activation": value}, {"weight_gain": value}):
        with pytest.raises(InvalidValueError) as caught:
            snstat.propagate(**arguments)
        assert len(str(caught.value)) < 500
        assert str(caught.value).isprintable()


@compiled
@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "batch", "width", "backward"),
    [
        ("dense", 2000, 3000, False),
        ("dense", 2000, 500, True),
        ("matrix-free", 1000, 40, False),
        ("matrix-free", 600, 40, True),
    ],
)
def test_the_estimate_of_memory_is_close_to_the_use_of_a_run(sampler, batch, width, backward):
    """Within a factor of two, beyond 80 MiB that libraries keep for themselves."""
    program = (
        "import resource, snstat\n"
        f"options = dict(depth=3, trials=2, sampler={sampler!r}, backward={backward}, threads=2)\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "snstat.propagate(width=4, batch=2, **options)\n"
        "before = peak()\n"
        f"snstat.propagate(width={width}, batch={batch}, **options)\n"
        "print(peak() - before)\n"
    )
    taken = number_of("-c", program)
    plan = Plan.build("selu", 3, width=width, batch=batch, trials=2, sampler=sampler,
                      backward=backward, threads=2)  # fmt: skip
    estimated = footprint(plan.stack, plan.inputs, trials=2, dtype="float32", sampler=sampler,
                          threads=2, backward=backward)  # fmt: skip
    assert taken / 2 - 80 * 2**20 < estimated < 2 * taken + 80 * 2**20
