"""Processes whose peak memory (ru_maxrss) is their own."""

from __future__ import annotations

import subprocess
import sys

# Linux counts the peak memory of the parent process as the child's own. The shell in between is
# small, and its second command keeps it from replacing itself by the child.
BETWEEN = ["sh", "-c", '"$@"; exit $?', "sh"]


def run_alone(*arguments, **options):
    """Run Python with `arguments`, in a process that begins with little memory."""
    command = [*BETWEEN, sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, **options)


def number_of(*arguments):
    """Return the number that Python prints with `arguments`, run in such a process."""
    return int(run_alone(*arguments, check=True).stdout)
