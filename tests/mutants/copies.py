"""Copies of the project, in which mutants are made and pytest runs."""

from __future__ import annotations

import compileall
import json
import multiprocessing
import os
import shutil
import sys
import time
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "mutants"
NOT_COPIED = (".git", ".venv*", "build", "dist", "*.pyc", ".*_cache", ".coverage*")
FORK = multiprocessing.get_context("fork")


class Recorder:
    """A plugin of pytest that records which test executes which line, and its seconds of CPU."""

    def __init__(self, path):
        from coverage import Coverage

        self.path, self.seconds = path, {}
        self.coverage = Coverage(data_file=None, config_file=False, source=["snstat"], branch=False)

    def pytest_sessionstart(self):
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.coverage.switch_context(item.nodeid)
        began = time.process_time()
        result = yield
        self.seconds[item.nodeid] = time.process_time() - began
        self.coverage.switch_context("")
        return result

    def pytest_sessionfinish(self):
        self.coverage.stop()
        data = self.coverage.get_data()
        lines = {
            str(Path(path).relative_to(Path.cwd())): data.contexts_by_lineno(path)
            for path in data.measured_files()
        }
        self.path.write_text(json.dumps({"seconds": self.seconds, "lines": lines}))


def enter_copy(number):
    """Go to a copy of the project, which is made if it is not there, with its compiled kernels.

    Its bytecode is compared with the text of the source, because a mutant may have the size of the
    file it changes, and its second."""
    tree = WORK / f"tree{number}"
    if not tree.exists():
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_COPIED))
    os.chdir(tree)
    by_text = PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir("snstat", quiet=1, invalidation_mode=by_text)


def run_tests(arguments, limit, record=None):
    """Run pytest in a fork, in this copy; return its exit code, None after `limit` seconds.
    `record` is the file to which a `Recorder` writes."""
    process = FORK.Process(target=_child, args=(arguments, record))
    process.start()
    process.join(limit)
    if process.is_alive():
        process.kill()
        process.join()
        return None
    return process.exitcode


def _child(arguments, record):
    tree = Path.cwd()
    os.environ["PYTHONPATH"] = str(tree)
    # Only the run without a mutant writes bytecode: that of the tests, which all others use.
    sys.dont_write_bytecode = record is None
    if sys.dont_write_bytecode:
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    sys.path[:] = [str(tree), *(path for path in sys.path if Path(path).resolve() != ROOT)]
    output = os.open(tree.with_suffix(".txt"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    plugins = [Recorder(record)] if record else []
    code = pytest.main(["-q", "-p", "no:cacheprovider", *arguments], plugins=plugins)
    os._exit(int(code))


def each(jobs, work):
    """Call `work(number)` in `jobs` processes, each in a copy of its own; exit if one fails."""

    def inside(number):
        enter_copy(number)
        work(number)

    processes = [FORK.Process(target=inside, args=(number,)) for number in range(jobs)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        sys.exit(1)
