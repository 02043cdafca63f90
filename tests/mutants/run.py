"""How many small changes of the code do the tests notice? `make mutants` writes docs/mutants.md.

cosmic-ray proposes the changes; a random sample of them is made, one at a time, in copies of the
project, one for each of several processes. Each runs the tests that execute the changed line, the
fastest first, up to the first failure; a few at first, because collecting them all takes long.
Which those are is recorded once, before. pytest runs in forks of these processes, which have
imported what takes long. cosmic-ray itself runs one command for all mutants of a project.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import itertools
import json
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

from tests.mutants.copies import WORK, each, run_tests
from tests.mutants.page import MUTATED, Mutant, report, without_meaning

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
MOST_SECONDS = 30.0
# Tests that are run before all others.
FEW = 20


def sample(count, seed):
    """Yield `count` mutants, drawn from all that are possible; those of equal meaning are not."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    operators = {name: get_operator(f"core/{name}")() for name in OPERATORS}
    sources = {
        path.as_posix(): path.read_text(encoding="utf-8")
        for room in MUTATED
        for path in sorted(Path("snstat", room).rglob("*.py"))
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
        try:
            if changed is None or meaning(changed) == meaning(sources[file]):
                continue
        except SyntaxError:  # a negated argument, say
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


def record(number, jobs):
    """Run this process's share of the tests and write which lines each of them executes."""
    ignored = [f"--ignore-glob=*/{name}" for name in SLOW]
    for folder in TESTS[number::jobs]:
        path = WORK / f"{folder}.json"
        if not path.exists():
            code = run_tests([f"tests/{folder}", *ignored, "-m", "not slow"], None, path)
            if code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
                path.unlink(missing_ok=True)
                sys.exit(f"tests/{folder} fails without a mutant: see {Path.cwd()}.txt")


def recorded():
    """Return the seconds of every test, the tests that execute each line of each file, and those
    that execute any."""
    all_of_them = {
        "seconds": {},
        "lines": defaultdict(lambda: defaultdict(list)),
        "tests": defaultdict(set),
    }
    for folder in TESTS:
        found = json.loads((WORK / f"{folder}.json").read_text(encoding="utf-8"))
        all_of_them["seconds"] |= found["seconds"]
        for file, lines in found["lines"].items():
            inner = inside_functions(Path(file).read_text(encoding="utf-8"))
            for line, tests in lines.items():
                # The first test that imports a module executes its other lines.
                all_of_them["lines"][file][line] += tests if int(line) in inner else []
                all_of_them["tests"][file].update(tests)
    return all_of_them


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
    return Path(file).read_text(encoding="utf-8") if Path(file).exists() else ""


def choose(mutant, known):
    """Return the tests to run, fastest first, and their seconds.

    Those that execute the line; of a line that is executed on import, those of the whole file, and
    those that import it.
    """
    lines, seconds = known["lines"].get(mutant.file, {}), known["seconds"]
    found = set(lines.get(str(mutant.line), [])) - {""}
    if not found:
        module = mutant.file.removesuffix(".py").replace("/", ".")
        found = known["tests"].get(mutant.file, set()) - {""}
        found |= {test for test in seconds if module in text_of(test.partition("::")[0])}
    chosen, total = [], 0.0
    for test in sorted(found, key=lambda test: seconds.get(test, 0.0)):
        total += seconds.get(test, 0.0)
        if total > MOST_SECONDS:
            break
        chosen.append(test)
    return chosen, total


def judge(mutant, source, changed, known):
    """Return "killed", "survived" or "timed out"; one that is known to mean the same survives."""
    chosen, total = choose(mutant, known)
    if not chosen or without_meaning(mutant):
        return "survived"
    path = Path(mutant.file)
    path.write_text(changed, encoding="utf-8")
    try:
        for tests in (chosen[:FEW], chosen[FEW:]):
            # A busy machine must not make a mutant time out.
            code = run_tests(["-x", *tests], 60.0 + 10.0 * total) if tests else 0
            if code != 0:
                break
    finally:
        path.write_text(source, encoding="utf-8")
    return {None: "timed out", 0: "survived"}.get(code, "killed")


def log_of(number):
    """Return the file of the verdicts of one process."""
    return WORK / f"verdicts{number}.jsonl"


def judged():
    """Return the mutants that have a verdict, with it."""
    logs = sorted(WORK.glob("verdicts*.jsonl"))
    return [json.loads(line) for log in logs for line in log.read_text("utf-8").splitlines()]


def judge_all(number, options):
    """Judge this process's share of the sample, one after the other."""
    known, began = recorded(), time.monotonic()
    before = [result["mutant"] for result in judged()]
    drawn = itertools.islice(sample(options.count, options.seed), number, None, options.jobs)
    for mutant, source, changed in drawn:
        if asdict(mutant) in before:
            continue
        if time.monotonic() - began > 3600.0 * options.hours:
            break
        verdict = judge(mutant, source, changed, known)
        with log_of(number).open("a", encoding="utf-8") as log:
            log.write(json.dumps({"mutant": asdict(mutant), "verdict": verdict}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    again = "go on with a run that has ended: keep its copies and verdicts"
    parser.add_argument("--again", action="store_true", help=again)
    parser.add_argument("--hours", type=float, default=24.0, help="stop after so long")
    parser.add_argument("report", type=Path)
    options = parser.parse_args()
    # Forks need not import these again. Not snstat itself, of which every mutant is another one.
    import mpmath  # noqa: F401
    import numba  # noqa: F401
    import scipy.stats  # noqa: F401

    if not options.again:
        shutil.rmtree(WORK, ignore_errors=True)
    each(options.jobs, lambda number: record(number, options.jobs))
    each(options.jobs, lambda number: judge_all(number, options))
    report(judged(), options.seed, options.report)


if __name__ == "__main__":
    main()
