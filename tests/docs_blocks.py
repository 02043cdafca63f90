"""Run the fenced blocks of a page, and compare or rewrite the output in its console blocks.

A page is a file of markdown, or a Python file with markdown in its docstrings.

A `sh` block is run as a script, a `console` block line by line after `$ `, and a `python` block as
a program. All run in one scratch folder, in the order of the page, with the `examples` of the
checkout in it. `make` targets need only exist.
A block under `<!-- not run: reason -->` is skipped, unless the reason ends in "make test-peers runs
it" and PyTorch is installed. `python -m tests.docs_blocks README.md ...`
runs the pages and rewrites the output in their console blocks.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).parents[1]
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<skip>\S[^>]*) -->\n+)?"
    r"^(?P<indent> *)```(?P<language>[a-z]+)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
# Ends the reason of a block that is run where PyTorch is installed.
OF_PEERS = "make test-peers runs it"
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)$", re.MULTILINE)
# Exit code 1 of these is a verdict.
VERDICT = re.compile(r"snstat check [^|]*")
# Any other failure fails the block. make targets must exist, but are not made.
SHELL = """
set -eu
[ -e examples ] || ln -s {checkout}/examples examples
make() { command make -C {checkout} --dry-run "$@" > /dev/null; }
"""
# Printed between the outputs of a block's commands.
MARK = "-- next command --"
# A number with its sign, error and exponent, or a bar of a chart in characters.
NUMBER = re.compile(r"[-+×(]*\d[\d.,]*(?:e[-+]?\d+)?(?:[±(][\d.]+\)?)?(?:e[-+]?\d+)?%?")
BARS = re.compile("[▁▂▃▄▅▆▇█]+")
# Part of the line that explains the narrowest notation.
NOTATION = "(one standard error)"
# Marks that may depend on a number's last digit.
FLAGS = re.compile(r"[!?*]")


class Block(NamedTuple):
    """One fenced block: its language, its text, whether it is skipped, the span of its text, and
    how far it is indented there."""

    language: str
    text: str
    skipped: bool
    span: tuple[int, int] = (0, 0)
    indent: str = ""


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page."""
    return [
        Block(
            found["language"],
            re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE),
            _skipped(found["skip"]),
            found.span("text"),
            found["indent"],
        )
        for found in BLOCK.finditer(page)
    ]


def _skipped(reason: str | None) -> bool:
    if reason is None:
        return False
    return not (reason.endswith(OF_PEERS) and find_spec("torch") is not None)


def script_of(block: Block) -> str | None:
    """Return the shell script of a block, or None if it has none."""
    if block.language in {"sh", "bash"}:
        return block.text
    if block.language == "console":
        return f"\necho '{MARK}'\n".join(map(shell_of, COMMAND.findall(block.text)))
    if block.language == "python":
        return f"{shlex.quote(sys.executable)} -W error - <<'PROGRAM'\n{block.text}PROGRAM\n"
    return None


def shell_of(command: str) -> str:
    """Return the script of a command in a console block; a verdict is no failure."""
    return f"{command} || [ $? -eq 1 ]" if VERDICT.fullmatch(command) else command


def columns(page: Path) -> int:
    """Return the width of the terminal in which the commands of a page are run.

    Pages of rules are read in one of 80 columns, where a block has a margin on either side.
    """
    return 78 if page.suffix == ".py" or page.name == "rules.md" else 80


def run_script(script: str, folder: Path, width: int = 80) -> subprocess.CompletedProcess[str]:
    """Run a script as a reader of the page would, in a terminal of `width` columns."""
    programs = Path(sys.executable).parent
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    environment["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
    environment["COLUMNS"] = str(width)
    prelude = SHELL.replace("{checkout}", shlex.quote(str(CHECKOUT)))
    return subprocess.run(
        ["bash", "-c", prelude + script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def shown(block: Block, output: str) -> str:
    """Return the text of a console block whose commands printed `output`."""
    commands = COMMAND.findall(block.text)
    parts = output.split(f"{MARK}\n")
    return "".join(f"$ {command}\n{part}" for command, part in zip(commands, parts, strict=True))


def words(text: str) -> list[str]:
    """Return the lines of a console block without its numbers, widths, bars and flags.

    The last digits of numbers may differ between machines, and the rest depends on them.
    """
    bare = BARS.sub("▄", FLAGS.sub("", NUMBER.sub("#", text.replace(" ± ", "±"))))
    lines = [" ".join(line.split()) for line in bare.splitlines()]
    return [line for line in lines if line and NOTATION not in line]


def rewritten(page: str, folder: Path, width: int) -> str:
    """Run a page and return it with the present output in its console blocks."""
    result, last = [], 0
    for block in blocks(page):
        script = None if block.skipped else script_of(block)
        if script is None:
            continue
        done = run_script(script, folder, width)
        if done.returncode:
            raise SystemExit(f"{block.text}\n{done.stdout}\n{done.stderr}")
        if block.language == "console":
            output = textwrap.indent(shown(block, done.stdout), block.indent)
            result += [page[last : block.span[0]], output]
            last = block.span[1]
    return "".join([*result, page[last:]])


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        with tempfile.TemporaryDirectory() as scratch:
            page = rewritten(path.read_text("utf-8"), Path(scratch), columns(path))
        path.write_text(page, "utf-8")
