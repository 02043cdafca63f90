"""How many small changes of the code do the tests notice? `make mutants` writes docs/mutants.md.

cosmic-ray proposes the changes; a random sample of them is made, one at a time, in a copy of the
project. Each runs the tests that execute the changed line, the fastest first, up to the first
failure. Which those are is recorded once, before. pytest runs in forks of this process, which has
imported what takes long. cosmic-ray itself runs one command for all mutants of a project.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import multiprocessing
import os
import random
import shutil
import sys
import time
from collections import defaultdict
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pytest

from tests.mutants.page import MUTATED, Mutant, report

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "mutants"
TREE, LOG = WORK / "tree", WORK / "results.jsonl"
NOT_COPIED = (".git", ".venv*", "build", "dist", "*.pyc", ".*_cache", ".coverage*")
# Folders and files whose tests are fast enough to be run again and again.
TESTS = (
    "layers", "theory", "checks", "results", "engine", "experiment", "gaussian", "network",
    "values", "test_plot.py", "test_simulation_against_theory.py",
)  # fmt: skip
SLOW = ("test_independence.py", "test_saturation.py", "test_config_fuzz.py")
# The changes that are made, by cosmic-ray's names. The other ones mostly raise an error at once
# (** for +) or change nothing (a removed cache).
OPERATORS = (
    "AddNot", "NumberReplacer", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue", "ReplaceBreakWithContinue", "ReplaceContinueWithBreak",
    "ZeroIterationForLoop", "ReplaceUnaryOperator_Delete_USub", "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_Delete_Invert",
    *(f"ReplaceBinaryOperator_{pair}" for pair in (
        "Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "Pow_Mul", "FloorDiv_Div", "BitAnd_BitOr",
        "BitOr_BitAnd",
    )),
    *(f"ReplaceComparisonOperator_{pair}" for pair in (
        "Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Lt_Gt", "Gt_Lt", "Eq_NotEq", "NotEq_Eq",
        "Is_IsNot", "IsNot_Is",
    )),
)  # fmt: skip
# Tests are left out that would take more seconds together, slowest first.
MOST_SECONDS = 90.0


class Recorder:
    """A plugin of pytest that records which test executes which line, and how long it takes."""

    def __init__(self, path):
        from coverage import Coverage

        self.path, self.seconds = path, {}
        self.coverage = Coverage(
            data_file=None, config_file=False, source=[str(TREE / "snstat")], branch=False
        )

    def pytest_sessionstart(self):
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.coverage.switch_context(item.nodeid)
        began = time.perf_counter()
        result = yield
        self.seconds[item.nodeid] = time.perf_counter() - began
        self.coverage.switch_context("")
        return result

    def pytest_sessionfinish(self):
        self.coverage.stop()
        data = self.coverage.get_data()
        lines = {
            str(Path(path).relative_to(TREE)): data.contexts_by_lineno(path)
            for path in data.measured_files()
        }
        self.path.write_text(json.dumps({"seconds": self.seconds, "lines": lines}))


def copy_project():
    """Copy the project, with its compiled kernels but without bytecode, which could be stale."""
    shutil.rmtree(WORK, ignore_errors=True)
    shutil.copytree(ROOT, TREE, ignore=shutil.ignore_patterns(*NOT_COPIED))


def run_tests(arguments, limit, record=None):
    """Run pytest in a fork, in the copy; return its exit code, None after `limit` seconds. `record`
    is the file to which a `Recorder` writes."""
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=_child, args=(arguments, record))
    process.start()
    process.join(limit)
    if process.is_alive():
        process.kill()
        process.join()
        return None
    return process.exitcode


def _child(arguments, record):
    os.chdir(TREE)
    os.environ["PYTHONPATH"], os.environ["PYTHONDONTWRITEBYTECODE"] = str(TREE), "1"
    sys.dont_write_bytecode = True
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    sys.path[:] = [str(TREE), *(path for path in sys.path if Path(path).resolve() != ROOT)]
    output = os.open(WORK / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    plugins = [Recorder(record)] if record else []
    code = pytest.main(["-q", "-p", "no:cacheprovider", *arguments], plugins=plugins)
    os._exit(int(code))


def sample(count, seed):
    """Yield `count` mutants, drawn from all that are possible; those of equal meaning are not."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    operators = {name: get_operator(f"core/{name}")() for name in OPERATORS}
    sources = {
        path.relative_to(TREE).as_posix(): path.read_text(encoding="utf-8")
        for room in MUTATED
        for path in sorted((TREE / "snstat" / room).rglob("*.py"))
        if "kernels" not in path.parts
    }
    possible = []
    for file, source in sources.items():
        nodes = list(ast_nodes(get_ast(source)))
        for name, operator in operators.items():
            positions = [place for node in nodes for place in operator.mutation_positions(node)]
            possible += [(file, name, index, start[0])
                         for index, (start, *_) in enumerate(positions)]  # fmt: skip
    random.Random(seed).shuffle(possible)
    for file, name, index, line in possible:
        if not count:
            return
        changed = mutate_code(sources[file], operators[name], index)
        if changed is None or meaning(changed) == meaning(sources[file]):
            continue
        count -= 1
        lines = (sources[file].splitlines(), changed.splitlines())
        differing = [entry for entry in difflib.ndiff(*lines) if entry[:2] in {"- ", "+ "}]
        texts = [" / ".join(entry[2:].strip() for entry in differing if entry[0] == sign)
                 for sign in "-+"]  # fmt: skip
        yield Mutant(file, line, *texts), sources[file], changed


def meaning(source):
    """Return a form of the code that is equal for equal meaning: types do not count, nor do
    decorators, which here say what is kept (slots, caches)."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            node.decorator_list = []
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arguments):  # nor whether an argument is given by name
            node.args = [*node.posonlyargs, *node.args, *node.kwonlyargs]
            node.defaults += [value for value in node.kw_defaults if value is not None]
            node.posonlyargs, node.kwonlyargs, node.kw_defaults = [], [], []
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return ast.dump(tree)


def recorded():
    """Return the seconds of every test, the tests that execute each line of each file, and those
    that execute any."""
    record = {
        "seconds": {},
        "lines": defaultdict(lambda: defaultdict(list)),
        "tests": defaultdict(set),
    }
    ignored = [f"--ignore-glob=*/{name}" for name in SLOW]
    for folder in TESTS:
        path = WORK / f"{folder}.json"
        if not path.exists():
            code = run_tests([f"tests/{folder}", *ignored, "-m", "not slow"], None, path)
            if code != 0:
                path.unlink(missing_ok=True)
                sys.exit(f"tests fail without a mutant: see {WORK / 'output.txt'}")
        found = json.loads(path.read_text(encoding="utf-8"))
        record["seconds"] |= found["seconds"]
        for file, lines in found["lines"].items():
            inner = inside_functions((TREE / file).read_text(encoding="utf-8"))
            for line, tests in lines.items():
                # The first test that imports a module executes its other lines.
                record["lines"][file][line] += tests if int(line) in inner else []
                record["tests"][file].update(tests)
    return record


def inside_functions(source):
    """Return the lines of the bodies of functions."""
    return {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
        for line in range(node.body[0].lineno, node.end_lineno + 1)
    }


@cache
def text_of(file):
    """Return the text of a file of tests."""
    return (TREE / file).read_text(encoding="utf-8") if (TREE / file).exists() else ""


def choose(mutant, record):
    """Return the tests to run, fastest first, and their seconds.

    Those that execute the line; of a line that is executed on import, those of the whole file, and
    those that import it.
    """
    lines, seconds = record["lines"].get(mutant.file, {}), record["seconds"]
    found = set(lines.get(str(mutant.line), [])) - {""}
    if not found:
        module = mutant.file.removesuffix(".py").replace("/", ".")
        found = record["tests"].get(mutant.file, set()) - {""}
        found |= {test for test in seconds if module in text_of(test.partition("::")[0])}
    chosen, total = [], 0.0
    for test in sorted(found, key=lambda test: seconds.get(test, 0.0)):
        total += seconds.get(test, 0.0)
        if total > MOST_SECONDS:
            break
        chosen.append(test)
    return chosen, total


def judge(mutant, source, changed, record):
    """Return "killed", "survived" or "timed out"."""
    chosen, total = choose(mutant, record)
    if not chosen:
        return "survived"
    path = TREE / mutant.file
    path.write_text(changed, encoding="utf-8")
    try:
        code = run_tests(["-x", *chosen], 30.0 + 3.0 * total)
    finally:
        path.write_text(source, encoding="utf-8")
    return {None: "timed out", 0: "survived"}.get(code, "killed")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="keep the copy and what is recorded")
    parser.add_argument("--hours", type=float, default=24.0, help="stop after so long")
    parser.add_argument("report", type=Path)
    options = parser.parse_args()
    # Forks need not import these again. Not snstat itself, of which every mutant is another one.
    import mpmath  # noqa: F401
    import numba  # noqa: F401
    import scipy.stats  # noqa: F401

    if not options.again:
        copy_project()
    record = recorded()
    results, began = [], time.monotonic()
    for mutant, source, changed in sample(options.count, options.seed):
        if time.monotonic() - began > 3600.0 * options.hours:
            break
        verdict = judge(mutant, source, changed, record)
        results.append({"mutant": asdict(mutant), "verdict": verdict})
        with LOG.open("a", encoding="utf-8") as log:
            log.write(json.dumps(results[-1]) + "\n")
    report(results, options.seed, options.report)


if __name__ == "__main__":
    main()
