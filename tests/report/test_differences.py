"""Labels of runs state the settings that differ, and no others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from snstat.report.differences import differences, labels
from snstat.results import Run
from tests.report.builders import make_run


def make(activation: str = "selu", seed: int = 0, **stack: Any) -> Run:
    run = make_run(activation, 4)
    described = replace(run.stack, activation=activation, **stack)
    return replace(run, subject=described, simulation=replace(run.simulation, seed=seed))


def test_settings_implied_by_the_activation_are_left_out() -> None:
    runs = [make("selu"), make("relu", init="he_normal", weight_gain=2**0.5)]
    assert labels(runs) == ["SELU", "ReLU"]


def test_independent_differences_are_stated() -> None:
    runs = [make(weight_gain=1.0), make(weight_gain=1.5)]
    assert labels(runs) == ["gain 1", "gain 1.5"]
    runs = [make(depth=4, width=8), make(depth=5, width=16), make(depth=6, width=16)]
    assert labels(runs) == ["layers 4, width 8", "layers 5, width 16", "layers 6, width 16"]
    assert differences([make(seed=0), make(seed=1)]) == {"seed": ("0", "1")}


def test_counts_have_commas_and_seeds_have_none() -> None:
    runs = [make(seed=1234, width=1024), make(seed=5678, width=2048)]
    assert labels(runs) == ["width 1,024, seed 1234", "width 2,048, seed 5678"]


def test_labels_of_a_grid_state_all_its_options() -> None:
    runs = [make(name, weight_gain=gain) for name in ("selu", "relu") for gain in (1.0, 1.5)]
    assert labels(runs) == ["SELU, gain 1", "SELU, gain 1.5", "ReLU, gain 1", "ReLU, gain 1.5"]


def test_gains_implied_by_the_initialiser_are_left_out() -> None:
    runs = [make(init="he_normal", weight_gain=2**0.5), make(init="lecun_normal")]
    assert labels(runs) == ["he_normal", "lecun_normal"]


def test_runs_with_equal_descriptions_are_numbered() -> None:
    assert labels([make(), make()]) == ["run 1", "run 2"]
    assert labels([make(), make("relu"), make()]) == ["SELU, run 1", "ReLU, run 2", "SELU, run 3"]
    assert labels([make()]) == ["SELU"]


def test_control_characters_in_file_names_are_escaped() -> None:
    run = make()
    runs = [run, replace(run, simulation=replace(run.simulation, inputs="\x1b[31m.npy"))]
    assert "\x1b" not in "".join(labels(runs))


def test_an_explicit_setting_differs_from_an_equal_default() -> None:
    runs = [make(given=("weight_gain",)), make()]
    assert labels(runs) == ["given weight gain", "given —"]
    runs = [make(given=("weight_gain",), weight_gain=1.5), make()]
    assert labels(runs) == ["gain 1.5", "gain 1"]


def test_files_with_the_same_name_are_labelled_by_their_content() -> None:
    runs = []
    for digest in ("sha256:0123456789abcdef", "sha256:fedcba9876543210"):
        run = make()
        described = replace(run.simulation, inputs="x.npy", inputs_digest=digest)
        runs.append(replace(run, simulation=described))
    assert labels(runs) == ["inputs digest sha256:01234567", "inputs digest sha256:fedcba98"]
