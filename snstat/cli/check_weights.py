"""`snstat check` of files of weights."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from snstat.activation import resolve
from snstat.cli.check_formats import formatted
from snstat.cli.options import refuse_others
from snstat.cli.output import STDOUT, file_output, text_output, wrote
from snstat.errors import InputFileError, InvalidValueError

if TYPE_CHECKING:
    from snstat.results import Check, Weights

# How the names of files of weights end.
SUFFIXES = (
    ".safetensors",
    ".index.json",
    ".npz",
    ".npy",
    ".pt",
    ".pth",
    ".bin",
    ".ckpt",
    ".onnx",
    ".eqx",
)
# Options that weights have; `only` chooses among checks.
OWN = {
    "saved",
    "activation",
    "init",
    "select",
    "ignore",
    "baseline",
    "write_baseline",
    "max_bytes",
    "form",
    "output",
}
BESIDE = "beside a file of weights, which is not simulated"


def is_weights(path: str) -> bool:
    """Return whether a file is one of weights, by its name."""
    return path.lower().endswith(SUFFIXES)


def check_weights(
    ctx: click.Context, paths: Sequence[str], form: str, given: dict[str, Any]
) -> None:
    """Judge files of weights, write the result, and exit with 1 if a check fails."""
    refuse_others(ctx, OWN, BESIDE)
    others = [path for path in paths if not is_weights(path)]
    if others:
        remedy = f"check it alone, or see weights with: snstat weights {others[0]}"
        raise click.UsageError(f"{others[0]} is no file of weights by its name; {remedy}")
    from snstat.checks.weights_judge import chosen, judge_weights
    from snstat.checks.weights_rule import WeightsCase
    from snstat.files.weights_form import load_schemes
    from snstat.report.check_words import tally
    from snstat.report.words import count
    from snstat.sources.weights.read import weights

    codes = chosen(given.get("select", ()), given.get("ignore", ()))
    activation, init = (_only(given, name) for name in ("activation", "init"))
    network = None if activation is None else resolve(activation)
    baseline, kept = given.get("baseline"), given.get("write_baseline")
    if kept is not None and len(paths) > 1:
        raise InvalidValueError("number of files", len(paths), "1 beside --write-baseline")
    before = load_schemes(baseline) if baseline is not None and baseline != kept else {}
    output = given.get("output")
    with ExitStack() as files:
        write = files.enter_context(text_output(output))
        base = files.enter_context(file_output(kept)) if kept is not None else None
        checks: list[Check] = []
        seconds = []
        for path in paths:
            began = time.perf_counter()
            found = weights(path, max_bytes=given.get("max_bytes"))
            if before and not any(tensor.name in before for tensor in found.tensors):
                reason = f"none of its matrices ({len(before):,}) is in {path}"
                remedy = "give the baseline of this model, or write one with --write-baseline"
                raise InputFileError(baseline, reason, remedy)
            case = WeightsCase(found, network, init, before)
            checks.append(judge_weights(case, codes, name=found.called, baseline=baseline))
            seconds.append(time.perf_counter() - began)
        if base is not None:
            _keep(found, base)
        write([formatted(checks, form, seconds, file=output not in (None, STDOUT))])
    wrote(kept, "baseline of 1 check")
    wrote(output, f"{tally(checks)} of {count(len(paths), 'file')}")
    if not all(check.passed for check in checks):
        ctx.exit(1)


def _keep(found: Weights, file: Any) -> None:
    from snstat.files.weights_form import weights_to_json

    file.write(weights_to_json(found))
    file.flush()  # reports a full disk before the verdict


def _only(given: dict[str, Any], name: str) -> Any:
    """Return the only value of an option, None if it is not given."""
    values = given.get(name, ())
    if len(values) > 1:
        raise InvalidValueError(f"number of {name}s", len(values), "1 beside a file of weights")
    return values[0] if values else None
