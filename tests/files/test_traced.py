"""Traced runs are read back as the same record; damaged ones are refused in one line."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import snstat
from snstat.errors import InputFileError
from snstat.files.schema import schema
from tests.traces import SUMMARY, make_traced_run


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("traced") / "run.json"
    snstat.save(make_traced_run(nonfinite=7), path)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize(
    "options", [{}, {"nonfinite": 7}, {"backward": False}, {"keep_trials": True}]
)
def test_a_traced_run_is_read_back_as_it_was(options: dict[str, Any], tmp_path) -> None:
    run = make_traced_run(**options)
    snstat.save(run, tmp_path / "run.json")
    again = snstat.load(tmp_path / "run.json")
    assert again == run
    assert again.module == run.module
    assert again.stack is None
    assert again.network is None
    for name, column in run.statistics.items():
        np.testing.assert_array_equal(again.statistics[name].estimate, column.estimate)
        np.testing.assert_array_equal(again.statistics[name].stderr, column.stderr)


def test_a_file_of_an_earlier_version_has_no_digest_of_inputs(document, tmp_path) -> None:
    earlier = copy.deepcopy(document)
    assert earlier["runs"][0]["simulation"].pop("inputs_digest") is None
    Draft202012Validator(schema("propagation")).validate(earlier)
    (tmp_path / "run.json").write_text(json.dumps(earlier))
    run = snstat.load(tmp_path / "run.json")
    assert run.simulation.inputs_digest is None


def test_the_digest_of_inputs_is_read_back(tmp_path) -> None:
    run = make_traced_run(replace(SUMMARY, inputs_digest=f"sha256:{64 * 'a'}"))
    assert run.simulation.inputs_digest == f"sha256:{64 * 'a'}"
    snstat.save(run, tmp_path / "run.json")
    document = json.loads((tmp_path / "run.json").read_text())
    Draft202012Validator(schema("propagation")).validate(document)
    again = snstat.load(tmp_path / "run.json")
    assert (again, again.module) == (run, run.module)


def test_a_run_without_a_seed_is_read_back(tmp_path) -> None:
    run = make_traced_run(seed=None)
    snstat.save(run, tmp_path / "run.json")
    document = json.loads((tmp_path / "run.json").read_text())
    Draft202012Validator(schema("propagation")).validate(document)
    again = snstat.load(tmp_path / "run.json")
    assert again == run
    assert again.simulation.seed is None
    # Two of them are no draws of one seed.
    check = snstat.check(run, baseline=tmp_path / "run.json")
    assert "same seed" not in " ".join(check.notes)
    same = make_traced_run(seed=4)
    snstat.save(same, tmp_path / "run.json")
    check = snstat.check(same, baseline=tmp_path / "run.json")
    assert "same seed" in " ".join(check.notes)


def test_the_file_follows_the_schema(document: dict[str, Any]) -> None:
    validator = Draft202012Validator(schema("propagation"))
    assert [error.message for error in validator.iter_errors(document)] == []
    run = document["runs"][0]
    assert (run["stack"], run["network"], run["module"]["set"]) == (None, None, {"width": 16})
    assert run["simulation"]["inputs"] == {"x": "Bx3x8x8"}
    row = run["layers"][5]
    assert (row["path"], row["call"], row["trials"]) == ("layer1.relu", 2, 3)
    assert row["shape"] == ["S", 16, 8, 8]
    assert row["axes"] == {"sample": [0], "position": [2, 3], "unit": [1], "found": "probed"}


RUN = ("runs", 0)
MODULE, SIMULATION = (*RUN, "module"), (*RUN, "simulation")
ROW = (*RUN, "layers", 5)
WRONG = [
    ((*MODULE, "target"), "", "target is empty"),
    ((*MODULE, "target"), "a\x1b[31m", "control character"),
    ((*MODULE, "parameters"), -1, "parameters"),
    ((*MODULE, "mode"), "test", "mode"),
    ((*MODULE, "trials_of"), 3, "trials_of"),
    ((*MODULE, "weights"), "", "weights is empty"),
    ((*MODULE, "weights_digest"), 3, "weights_digest is 3, but must be a string"),
    ((*MODULE, "set"), [], "set is [], but must be an object"),
    ((*MODULE, "not_called"), "fc", "not_called is 'fc', but must be a list"),
    ((*MODULE, "skipped"), [{"path": "fft"}], "has no 'reason'"),
    ((*MODULE, "theory_ends", 0, "call"), 0, "call"),
    ((*MODULE, "nonfinite", "trial"), 4, "trial of nonfinite is 4, but must be below 4"),
    ((*MODULE, "nonfinite", "inputs_finite"), None, "inputs_finite"),
    ((*SIMULATION, "dtype"), "float8", "dtype"),
    ((*SIMULATION, "trials"), 2, "layer 1: trials is 4, but must be at most 2"),
    ((*SIMULATION, "inputs"), {"x": 3}, "inputs is 3, but must be a string"),
    ((*SIMULATION, "device"), None, "device"),
    ((*SIMULATION, "inputs_digest"), "sha256:0", "inputs_digest is 'sha256:0', but must be"),
    ((*RUN, "layers", 0, "shape"), ["S"], "must be a list of whole numbers"),
    ((*ROW, "path"), None, "layer 5: path is None, but must be a string"),
    ((*ROW, "call"), 1.5, "layer 5: call"),
    ((*ROW, "shape"), ["B", 3], "layer 5: shape"),
    ((*ROW, "shape"), ["0S", 3], "layer 5: shape"),
    ((*ROW, "shape"), [1] * 65, "layer 5: shape"),
    ((*ROW, "axes", "unit"), [4], "unit of axes is [4], but must be a list of numbers from 0 to 3"),
    ((*ROW, "axes", "found"), "guessed", "layer 5: found"),
    ((*ROW, "same_as"), 5, "layer 5: same_as is 5, but must be the number of a layer before"),
    ((*ROW, "trials"), 0, "layer 5: trials"),
    ((*ROW, "gradient_missing"), "", "gradient_missing is empty"),
    ((*ROW, "variance_over_positions", "estimate"), 7.0, "at most the variance of the layer"),
    ((*ROW, "position_cosine", "estimate"), 1.5, "from -1 to 1"),
    ((*ROW, "dead_fraction", "stderr"), 0.36, "at most 0.3536 for 3 trials"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "words"), WRONG)
def test_a_damaged_file_is_refused(
    document: dict[str, Any], path: tuple[str | int, ...], value: object, words: str, tmp_path
) -> None:
    damaged = copy.deepcopy(document)
    place: Any = damaged
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file = tmp_path / "run.json"
    file.write_text(json.dumps(damaged))
    with pytest.raises(InputFileError) as caught:
        snstat.load(file)
    message = str(caught.value)
    assert words in message
    assert "\n" not in message
    assert message.isprintable()


@pytest.mark.parametrize("key", ["stack", "network"])
def test_a_module_is_nothing_else(document: dict[str, Any], key: str, tmp_path) -> None:
    damaged = copy.deepcopy(document)
    damaged["runs"][0][key] = {}
    file = tmp_path / "run.json"
    file.write_text(json.dumps(damaged))
    with pytest.raises(InputFileError, match=f"both a {key} and a module"):
        snstat.load(file)


@pytest.mark.parametrize(("path", "value"), [
    ((*MODULE, "extra"), 1),
    ((*MODULE, "mode"), "test"),
    ((*RUN, "stack"), {}),
    ((*SIMULATION, "sampler"), "dense"),
    ((*ROW, "shape"), ["B"]),
    ((*ROW, "axes", "unit"), [-1]),
    ((*RUN, "layers", 0, "trials"), 4),
])  # fmt: skip
def test_the_schema_refuses_a_wrong_value(
    document: dict[str, Any], path: tuple[str | int, ...], value: object
) -> None:
    damaged = copy.deepcopy(document)
    place: Any = damaged
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert list(Draft202012Validator(schema("propagation")).iter_errors(damaged))


def test_the_name_of_a_run_is_its_target(tmp_path) -> None:
    snstat.save(make_traced_run(), tmp_path / "run.json")
    assert snstat.load(tmp_path / "run.json").subject.called == SUMMARY.target
