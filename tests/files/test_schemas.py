"""The JSON Schemas are valid, match the records, and refuse wrong values."""

from __future__ import annotations

import copy
import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from snstat import cli, results
from snstat.files.schema import SCHEMAS, schema
from snstat.network.network import Network
from snstat.network.overview import overview
from snstat.report.network_table import network_to_json
from tests.network.networks import networks

NAMES = tuple(SCHEMAS)


def errors(document: object, name: str) -> list[str]:
    return [error.message for error in Draft202012Validator(schema(name)).iter_errors(document)]


NUMBERS = {
    "estimate": 0.5,
    "stderr": None,
    "theory": None,
    "expected": None,
    "neglected": None,
    "z": None,
}
PROPAGATION: dict[str, Any] = {
    "schema": "snstat.propagation/2",
    "version": "0.1.0",
    "runs": [
        {
            "stack": {
                "activation": "selu",
                "depth": 64,
                "width": 1024,
                "input_width": 1024,
                "init": "lecun_normal",
                "weight_gain": 1.0,
                "bias_std": 0.0,
                "weight_std": None,
                "widths": None,
                "last": None,
                "given": [],
                "drawn": [
                    {
                        "first": 1,
                        "last": 64,
                        "units": 1024,
                        "activation": "selu",
                        "weights": "normal",
                        "weight_std": 0.03125,
                        "biases": "zero",
                        "bias_std": 0.0,
                    }
                ],
            },
            "network": {
                "name": "",
                "input": {"channels": 1024, "grid": []},
                "layers": [{"kind": "block", "times": 64, "layers": [{"kind": "dense"}]}],
            },
            "simulation": {
                "batch": 64,
                "trials": 8,
                "seed": 0,
                "dtype": "float32",
                "sampler": "dense",
                "inputs": "normal",
                "input_mean": 0.0,
                "input_std": 1.0,
                "standardize": False,
                "flatten": False,
                "inputs_digest": None,
                "train": True,
                "infinite_width": None,
            },
            "partial": False,
            "outlook": {
                "kind": "converges",
                "mean": 0.0,
                "variance": 1.0,
                "rate": 0.782648,
                "gradient_growth": 1.071575,
                "gradient_factor": 83.4,
            },
            "layers": [
                {
                    "layer": layer,
                    "name": name,
                    "kind": kind,
                    "shape": [1024],
                    "sampler": sampler,
                    "finite": True,
                }
                | dict.fromkeys(results.STATISTICS, NUMBERS)
                for layer, name, kind, sampler in (
                    (0, "input", "input", None),
                    (1, "1", "dense", "dense"),
                )
            ],
        }
    ],
}
COORDINATES = ("mean", "weight_sum", "variance", "weight_square_sum")
FIXEDPOINT: dict[str, Any] = {
    "schema": "snstat.fixedpoint/1",
    "version": "0.1.0",
    "runs": [
        {
            "activation": "selu",
            "map": "ensemble",
            "weight_gain": 1.0,
            "bias_std": 0.0,
            "continuum": False,
            "at_infinity": "returns",
            "fixed_points": [
                {
                    "mean": 0.0,
                    "variance": 1.0,
                    "second_moment": 1.0,
                    "stable": True,
                    "jacobian": [[0.0, 0.0888], [0.0, 0.7826]],
                    "eigenvalues": [[0.7826, 0.0], [0.0, 0.0]],
                    "spectral_norm": 0.7877,
                    "spectral_radius": 0.7826,
                    "depth_scale": 4.08,
                    "gradient_growth": 1.0716,
                    "correlations": [
                        {"value": 0.0, "slope": 0.97, "stable": True, "depth_scale": None}
                    ],
                    "correlation_continuum": False,
                }
            ],
        },
        {
            "activation": "selu",
            "map": "unit",
            "weight_sum": 0.0,
            "weight_square_sum": 1.0,
            "theorem_domain": 1,
            "continuum": False,
            "at_infinity": "returns",
            "fixed_points": [],
            "solved": {"alpha": 1.67, "lambda": 1.05},
            "trajectory": [[0.0, 1.0], [None, None]],
        },
    ],
    "theorems": [
        {
            "name": "theorem 1",
            "claim": "the map stays in the domain",
            "domain": {name: [-0.1, 0.1] for name in COORDINATES},
            "extremes": {"mean": {"value": 0.03, "where": dict.fromkeys(COORDINATES, 0.1)}},
            "points": 1000,
            "holds": True,
        }
    ],
}
JUDGED = {name: PROPAGATION["runs"][0][name] for name in ("stack", "network", "simulation")}
CHECK: dict[str, Any] = {
    "schema": "snstat.check/1",
    "version": "0.1.0",
    "passed": False,
    "checks": [
        {
            "name": "default",
            "verdict": "gradient-exploding",
            "passed": False,
            "weights": None,
            "findings": [
                {
                    "code": "SN202",
                    "name": "gradient-exploding",
                    "layer": 0,
                    "value": 1.9e15,
                    "bound": 1e6,
                    "message": "squared gradients grow: use at most 199 layers",
                    "remedy": "use at most 199 layers",
                    "path": None,
                },
                {
                    "code": "SN001",
                    "name": "non-finite",
                    "layer": None,
                    "value": None,
                    "bound": None,
                    "message": "not finite",
                    "remedy": "",
                    "path": None,
                },
            ],
            **JUDGED,
            "notes": ["SN501 leaves out kurtosis"],
            "baseline": "base.json",
            "source": {"path": "pyproject.toml", "line": 1},
        },
        {
            "name": "other",
            "verdict": "stable",
            "passed": True,
            "weights": None,
            "findings": [],
            **JUDGED,
            "notes": [],
            "baseline": None,
            "source": None,
        },
    ],
}
NETWORK: dict[str, Any] = {
    "schema": "snstat.network/1",
    "version": "0.1.0",
    "network": {
        "name": "",
        "input": {"channels": 3, "grid": [5], "kind": "uniform", "std": 2.0},
        "layers": [
            {"kind": "dense", "name": "up", "width": 4},
            {"kind": "block", "times": 2, "layers": [{"kind": "scale", "input": "input"}]},
        ],
    },
    "depth": 3,
    "parameters": 16,
    "layers": [
        {
            "layer": 0,
            "name": "input",
            "kind": "input",
            "shape": [5, 3],
            "parameters": 0,
            "sampler": None,
        },
        {
            "layer": 1,
            "name": "up",
            "kind": "dense",
            "shape": [5, 4],
            "parameters": 16,
            "sampler": "dense",
        },
        {
            "layer": 2,
            "name": "1.0.0",
            "kind": "scale",
            "shape": [5, 4],
            "parameters": 0,
            "sampler": None,
        },
        {
            "layer": 3,
            "name": "1.1.0",
            "kind": "scale",
            "shape": [5, 4],
            "parameters": 0,
            "sampler": None,
        },
    ],
}
ROWS = {"count": 1, "first": [3]}
SUMS = {"median": 0.0, "low": -1.0, "high": None}
WEIGHTS: dict[str, Any] = {
    "schema": "snstat.weights/1",
    "version": "0.1.0",
    "file": "model.npz",
    "tensors": [
        {
            "name": "fc",
            "shape": [4, 3],
            "dtype": "bfloat16",
            "layout": "jax",
            "fan_in": 4,
            "fan_out": 3,
            "gain": 1.0,
            "schemes": [{"name": "zeros", "z": None}, {"name": "he_normal", "z": -0.5}],
            "weight_sum": SUMS,
            "weight_square_sum": SUMS,
            "in_theorem_1": 0.5,
            "spectral_norm": 2.0,
            "kurtosis": None,
            "dead_rows": ROWS,
            "duplicate_rows": ROWS,
            "non_finite": ROWS,
        }
    ],
    "skipped": [{"name": "bias", "reason": "1-D", "non_finite": 0}],
}
SPECTRUM: dict[str, Any] = {
    "schema": "snstat.spectrum/1",
    "version": "0.1.0",
    "runs": [
        {
            "stack": PROPAGATION["runs"][0]["stack"],
            "network": None,
            "simulation": PROPAGATION["runs"][0]["simulation"],
            "near_zero": 0.001,
            "from_layer": 0,
            "depths": [1],
            "names": ["1"],
            "measures": {
                name: [{"estimate": 0.5, "stderr": None, "theory": None}]
                for name in ("mean_square", "relative_variance", "largest", "near_zero")
            },
            "theory": {
                "mean_square": [1.0],
                "relative_variance": [None],
                "largest": [2.0],
                "near_zero": [0.5],
                "zero": [0.0],
                "log_values": [[-1.0, 0.5]],
                "density": [None],
            },
            "lanczos": [
                {
                    "count": 5000,
                    "starts": 1,
                    "steps": 2,
                    "near_zero_range": [0.0, 0.5],
                    "weights": [[0.4, 0.6]],
                    "errors": [[1e-7, None]],
                }
            ],
            "singular_values": [[[2.0, None]]],
        }
    ],
}
EXAMPLES = {
    "spectrum": SPECTRUM,
    "weights": WEIGHTS,
    "propagation": PROPAGATION,
    "fixedpoint": FIXEDPOINT,
    "check": CHECK,
    "network": NETWORK,
}


@pytest.mark.parametrize("name", NAMES)
def test_schema_is_valid_and_accepts_its_example(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))
    assert errors(EXAMPLES[name], name) == []


@pytest.mark.parametrize(
    ("name", "constant"),
    [
        ("propagation", results.PROPAGATION_SCHEMA),
        ("fixedpoint", results.FIXEDPOINT_SCHEMA),
        ("check", results.CHECK_SCHEMA),
        ("weights", results.WEIGHTS_SCHEMA),
        ("spectrum", results.SPECTRUM_SCHEMA),
    ],
)
def test_schema_has_the_name_in_results(name: str, constant: str) -> None:
    assert schema(name)["properties"]["schema"]["const"] == constant
    assert schema(name)["title"] == constant


@pytest.mark.parametrize(
    ("name", "definition", "record"),
    [
        ("propagation", "stack", results.StackSummary),
        ("propagation", "drawn", results.DrawnLayers),
        ("propagation", "simulation", results.Simulation),
        ("propagation", "statistic", results.Estimate),
        ("propagation", "outlook", results.Outlook),
        ("fixedpoint", "fixed_point", results.FixedPoint),
        ("fixedpoint", "correlation", results.CorrelationFixedPoint),
        ("fixedpoint", "theorem", results.TheoremResult),
        ("check", "finding", results.Finding),
        ("check", "source", results.Source),
        ("check", "weights", results.WeightsSummary),
        ("weights", "tensor", results.TensorWeights),
        ("weights", "scheme", results.Scheme),
        ("weights", "spread", results.Spread),
        ("weights", "rows", results.Rows),
        ("propagation", "given_weights", results.GivenWeights),
        ("weights", "skipped", results.Skipped),
        ("spectrum", "measure", results.Measure),
        ("spectrum", "drawn", results.DrawnLayers),
        ("spectrum", "simulation", results.Simulation),
    ],
)
def test_keys_are_the_fields_of_the_record(name: str, definition: str, record: type) -> None:
    part = schema(name)["$defs"][definition]
    expected = {field.name for field in fields(record)}
    assert set(part["properties"]) == expected
    assert set(part["required"]) == expected


def test_a_check_has_the_fields_of_its_record_and_passed() -> None:
    part = schema("check")["$defs"]["check"]
    own = {field.name for field in fields(results.Check)} - {"subject"}
    others = {"stack", "network", "given_weights", "module", "weights", "passed"}
    assert set(part["properties"]) == own | others
    assert set(part["required"]) == set(part["properties"]) - {"given_weights", "module"}
    assert part["properties"]["verdict"]["enum"] == list(results.VERDICTS)


@pytest.mark.parametrize(
    "definition", ["stack", "drawn", "simulation", "network", "tracing", "given_weights"]
)
def test_runs_and_checks_describe_stacks_alike(definition: str) -> None:
    run, check = (schema(name)["$defs"][definition] for name in ("propagation", "check"))
    assert check == run


@pytest.mark.parametrize("definition", ["stack", "drawn", "simulation", "network"])
def test_runs_and_spectra_describe_networks_alike(definition: str) -> None:
    run, found = (schema(name)["$defs"][definition] for name in ("propagation", "spectrum"))
    assert found == run


def test_theory_of_spectra_has_the_fields_of_its_record() -> None:
    part = schema("spectrum")["$defs"]["run"]["properties"]["theory"]
    expected = {field.name for field in fields(results.SpectrumTheory)}
    assert set(part["properties"]) == set(part["required"]) == expected


def test_every_statistic_is_required() -> None:
    layer = schema("propagation")["$defs"]["layer"]
    own = {"layer", "name", "kind", "shape", "sampler", "finite"}
    assert set(layer["required"]) == {*own, *results.STATISTICS}
    also = {*results.EVERY} - {*results.STATISTICS}
    call = {field.name for field in fields(results.Call)} - {"repeated"}
    assert set(layer["properties"]) == {*layer["required"], *also, *call}
    assert {*layer["then"]["required"]} == call - {*own, "path", "gate"}


def spoiled(document: dict[str, Any], path: tuple[str | int, ...], value: object) -> object:
    """Return a copy with the value at `path` replaced."""
    document = copy.deepcopy(document)
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


RUN = ("runs", 0)
UNIT = ("runs", 1)
POINT = ("runs", 0, "fixed_points", 0)
FAILED = ("checks", 0)
PASSED = ("checks", 1)
FINDING = (*FAILED, "findings", 0)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("propagation", ("schema",), "snstat.propagation/1"),
        ("propagation", ("runs",), []),
        ("propagation", ("extra",), 1),
        ("propagation", ("names",), []),
        ("propagation", ("names",), ["one", "one"]),
        ("propagation", (*RUN, "extra"), 1),
        ("propagation", (*RUN, "partial"), None),
        ("propagation", (*RUN, "outlook", "kind"), "explode"),
        ("propagation", (*RUN, "outlook", "variance"), -1.0),
        ("propagation", (*RUN, "stack", "depth"), 1.5),
        ("propagation", (*RUN, "stack", "weight_gain"), None),
        ("propagation", (*RUN, "stack", "given"), ["depth"]),
        ("propagation", (*RUN, "stack", "drawn", 0, "biases"), "none"),
        ("propagation", (*RUN, "simulation", "sampler"), "gpu"),
        ("propagation", (*RUN, "simulation", "inputs_digest"), "sha256:0"),
        ("propagation", (*RUN, "layers", 1, "shape"), []),
        ("propagation", (*RUN, "simulation", "input_std"), -1.0),
        ("propagation", (*RUN, "layers", 0, "mean"), 0.0),
        ("propagation", (*RUN, "layers", 0, "finite"), 1),
        ("propagation", (*RUN, "layers", 0, "mean", "estimate"), "NaN"),
        ("propagation", (*RUN, "layers", 0, "mean", "stderr"), -0.1),
        ("propagation", (*RUN, "layers", 0, "mean", "error"), 0.1),
        ("fixedpoint", (*RUN, "map"), "unit"),
        ("fixedpoint", (*RUN, "weight_sum"), 0.0),
        ("fixedpoint", (*RUN, "theorem_domain"), None),
        ("fixedpoint", (*UNIT, "theorem_domain"), "1"),
        ("fixedpoint", (*UNIT, "weight_gain"), 1.0),
        ("fixedpoint", (*UNIT, "solved"), {"alpha": 1.0}),
        ("fixedpoint", (*UNIT, "trajectory", 0), [0.0]),
        ("fixedpoint", (*UNIT, "trajectory", 0), [0.0, 1.0, 2.0]),
        ("fixedpoint", (*RUN, "at_infinity"), "stays"),
        ("fixedpoint", (*POINT, "variance"), -1.0),
        ("fixedpoint", (*POINT, "correlation_continuum"), None),
        ("fixedpoint", (*POINT, "jacobian"), [[1.0, 2.0]]),
        ("fixedpoint", (*POINT, "eigenvalues", 0), 0.78),
        ("fixedpoint", (*POINT, "correlations", 0, "value"), 1.5),
        ("fixedpoint", ("theorems", 0, "extremes"), {"mean": [0.03, {}]}),
        ("check", ("passed",), None),
        ("check", ("extra",), 1),
        ("check", (*FAILED, "extra"), 1),
        ("check", (*FAILED, "passed"), True),
        ("check", (*PASSED, "passed"), False),
        ("check", (*FAILED, "verdict"), "fine"),
        ("check", (*FAILED, "notes"), None),
        ("check", (*FAILED, "source"), "pyproject.toml"),
        ("check", (*FAILED, "source", "line"), 0),
        ("check", (*FAILED, "stack", "depth"), 0),
        ("check", (*FINDING, "code"), "202"),
        ("check", (*FINDING, "layer"), -1),
        ("check", (*FINDING, "value"), "NaN"),
        ("check", (*FINDING, "message"), ""),
        ("check", (*FINDING, "remedy"), None),
        ("spectrum", ("runs",), []),
        ("spectrum", (*RUN, "extra"), 1),
        ("spectrum", (*RUN, "depths"), [0]),
        ("spectrum", (*RUN, "near_zero"), 0),
        ("spectrum", (*RUN, "measures", "largest", 0, "estimate"), -1.0),
        ("spectrum", (*RUN, "measures", "largest"), []),
        ("spectrum", (*RUN, "theory", "zero"), [1.5]),
        ("spectrum", (*RUN, "theory", "density"), [[0.5]]),
        ("spectrum", (*RUN, "singular_values"), [[2.0]]),
        ("spectrum", (*RUN, "lanczos", 0, "weights"), [[1.5]]),
        ("spectrum", (*RUN, "lanczos", 0, "near_zero_range"), [0.5]),
        ("spectrum", (*RUN, "lanczos"), []),
        ("network", ("extra",), 1),
        ("network", ("depth",), 0),
        ("network", ("parameters",), 1.5),
        ("network", ("layers",), []),
        ("network", ("layers", 1, "shape"), []),
        ("network", ("layers", 1, "layer"), -1),
        ("network", ("network", "times"), 0),
        ("network", ("network", "parameters"), {}),
        ("network", ("network", "input", "std"), -1.0),
        ("network", ("network", "layers", 0, "kind"), ""),
        ("network", ("network", "layers", 0, "inputs"), ["up"]),
        ("network", ("network", "layers", 1, "layers"), []),
    ],
)
def test_a_wrong_value_is_refused(name: str, path: tuple[str | int, ...], value: object) -> None:
    assert errors(spoiled(EXAMPLES[name], path, value), name)


def output_of(arguments: str, capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Run a command and parse its output; refuse NaN and Infinity."""

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    code = cli.run([*arguments.split(), "--format", "json"])
    printed = capfd.readouterr()
    assert code == 0, printed.err
    document: dict[str, Any] = json.loads(printed.out, parse_constant=refuse)
    return document


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("propagation", "propagate -a selu -a relu -d 3 -w 16 -b 4 -t 2"),
        ("propagation", "propagate -d 2 -w 8 -b 2 -t 1 --weight-gain 1e30"),
        ("propagation", "propagate -d 2 -w 8 -b 2 -t 1 --input-std 0"),
        ("fixedpoint", "fixedpoint -a selu -a relu -a identity"),
        ("fixedpoint", "fixedpoint --map unit --weight-sum 0 --weight-square-sum 1"),
        ("fixedpoint", "fixedpoint --target-mean 0 --target-variance 2"),
        ("fixedpoint", "fixedpoint --from 0.1 1.2 --depth 5"),
        ("spectrum", "spectrum -a selu -a relu -d 3 -w 8 -t 2"),
        ("spectrum", "spectrum -d 2 -w 8 -t 1 --weight-gain 1e99 --layers 1-2"),
        ("network", "show -d 3 -w 5"),
        ("network", "show --widths 3,4,5 --last linear --weight-std 0.5"),
    ],
)
def test_the_output_of_commands_follows_the_schema(
    name: str, arguments: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert errors(output_of(arguments, capfd), name) == []


@pytest.mark.slow
def test_the_output_of_theorems_follows_the_schema(capfd: pytest.CaptureFixture[str]) -> None:
    document = output_of("fixedpoint --theorems", capfd)
    assert errors(document, "fixedpoint") == []
    assert len(document["theorems"]) == 4


@given(networks())
def test_every_network_follows_the_schema(network: Network) -> None:
    document = json.loads(
        network_to_json(overview(network, range(network.depth + 1), [None] * (network.depth + 1)))
    )
    assert errors(document, "network") == []
    assert Network.read(document["network"]) == network
