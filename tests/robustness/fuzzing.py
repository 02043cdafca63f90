"""Feed damaged files to the program in a separate process with limits of memory and time.

    python -m tests.robustness.fuzzing TARGET FIRST COUNT FOLDER

Damaged file number n of a target is the same in every run. Each file with which the program fails
is kept in FOLDER and reported on standard output.
"""

from __future__ import annotations

import io
import resource
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import redirect_stderr, redirect_stdout
from os import chdir
from pathlib import Path
from random import Random

from snstat.cli import run
from snstat.experiment import warmup
from tests.robustness.targets import CANARY, FILE, PICTURE, TARGETS, Command, Target

# Limits on the memory and time that reading a damaged file may take.
MEMORY_BYTES = 2**30
SECONDS = 10.0
# Longest line that the program may print about a file, whatever its content.
LONGEST = 900
FORBIDDEN = ("internal error", "Traceback", "Warning", "out of memory", "allocate", "MemoryError")


def call(arguments: list[str]) -> tuple[int, bytes, str]:
    """Run the program in this process; return its exit code and its output."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        code = run(arguments)
    return code, out.buffer.getvalue(), err.buffer.getvalue().decode("utf-8")


def complaints(code: int, out: bytes, err: str, fine: Collection[int] = (0,)) -> Iterator[str]:
    """Yield faults in the program's output; `fine` are the exit codes for an accepted file."""
    errors = [line for line in err.splitlines() if line.startswith("snstat: error: ")]
    if code in fine and errors:
        yield f"an error with exit code {code}"
    if code == 2 and (len(errors) != 1 or out):
        yield f"exit code 2 with {len(errors)} errors and {len(out)} bytes of output"
    if code not in {*fine, 2}:
        yield f"exit code {code}"
    for line in err.splitlines():
        if not line.startswith("snstat: "):
            yield "a line without the prefix of the program"
        if not line.isprintable():
            yield "unprintable characters"
        if len(line) > LONGEST:
            yield f"a line of {len(line)} characters"
    for words in FORBIDDEN:
        if words in err:
            yield words


def problems(target: Target, number: int, path: Path) -> Iterator[str]:
    """Let every reader of a target read a file, and yield the faults."""
    for command in target.commands:
        if number % command.each == 0:
            arguments = filled(command, path)
            began = time.perf_counter()
            code, out, err = call(arguments)
            seconds = time.perf_counter() - began
            # A failed check is not a fault of the input.
            fine = (0, 1) if "check" in arguments else (0,)
            found = list(complaints(code, out, err, fine))
            if seconds > SECONDS:
                found.append(f"{seconds:.1f} s")
            yield from (f"{' '.join(arguments)}: {words}\n    {err!r:.2000}" for words in found)
    try:
        target.examine(path)
    except Exception as error:  # noqa: BLE001  # any error but snstat's own is a fault
        yield f"{target.examine.__name__}: {type(error).__name__}: {error!s:.500}"
    if (path.parent / CANARY).exists():
        yield "UNPICKLED"
        (path.parent / CANARY).unlink()


def filled(command: Command, path: Path) -> list[str]:
    names = {FILE: str(path), PICTURE: str(path.parent / "picture.png")}
    arguments = [names.get(word, word) for word in command.arguments]
    if "svg" in arguments:
        arguments = [word.replace("picture.png", "picture.svg") for word in arguments]
    return arguments


def damaged(target: Target, name: str, number: int, seeds: list[bytes]) -> bytes:
    """Return damaged file number `number` of a target."""
    random = Random(f"{name} {number}")
    mutation = random.choice(target.mutations)
    return mutation(random, random.choice(seeds))


def limit_memory() -> None:
    """Limit this process to `MEMORY_BYTES` beyond its present memory."""
    status = Path("/proc/self/status")
    if status.exists():
        (data,) = (line for line in status.read_text().splitlines() if line.startswith("VmData"))
        limit = int(data.split()[1]) * 1024 + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def compile_kernels() -> None:
    """Compile the kernels that a damaged file may need, before times are measured."""
    small = ["propagate", "-d", "1", "-w", "4", "-b", "2", "-t", "1", "--backward"]
    for init in ("lecun_normal", "orthogonal"):
        for sampler in ("dense", "matrix-free"):
            call([*small, "--init", init, "--sampler", sampler])


def main(name: str, first: int, count: int, folder: Path) -> int:
    """Run the damaged files; return the number of files with faults."""
    target = TARGETS[name]
    chdir(folder)
    warmup.NOTICE_AFTER_SECONDS = 3600.0
    seeds = list(target.seeds())
    path = folder / f"damaged.{target.suffix}"
    compile_kernels()
    path.write_bytes(seeds[0])
    list(problems(target, 0, path))
    for number, seed in enumerate(seeds):
        path.write_bytes(seed)
        for found in problems(target, number, path):
            raise AssertionError(f"a seed: {found}")
    limit_memory()
    failed = 0
    for number in range(first, first + count):
        data = damaged(target, name, number, seeds)
        path.write_bytes(data)
        found = list(problems(target, number, path))
        if found:
            failed += 1
            kept = path.with_name(f"{name}-{number}.{target.suffix}")
            kept.write_bytes(data)
            print(f"{kept.name}:", *found, sep="\n  ", flush=True)  # noqa: T201
    print(f"{name}: {count} damaged files, {failed} handled wrongly")  # noqa: T201
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])), 1))
