"""Data are standardized and flattened before they enter the network."""

from __future__ import annotations

import numpy as np
import pytest

from snstat import load, propagate
from snstat.errors import InvalidValueError
from snstat.experiment import data as data_module
from snstat.experiment.data import check_data
from snstat.experiment.plan import Plan
from snstat.files.saved import runs_to_json


@pytest.fixture
def images():
    random = np.random.default_rng(3)
    return (40.0 + 7.0 * random.standard_normal((23, 4, 3))).astype(np.float32)


@pytest.mark.parametrize("layout", ["array", "npy", "fortran"])
def test_the_network_sees_standardized_vectors(images, layout, tmp_path, monkeypatch):
    monkeypatch.setattr(data_module, "BLOCK_VALUES", 60)  # five samples per block
    given = images
    if layout != "array":
        given = tmp_path / "images.npy"
        np.save(given, np.asfortranarray(images) if layout == "fortran" else images)
    plan = Plan.build("selu", 1, width=16, inputs=given, standardize=True, flatten=True)
    flat = images.reshape(23, 12).astype(np.float64)
    flat = (flat - flat.mean()) / flat.std()
    # Sums of 276 values in another order: a few units in the last place.
    sample = plan.inputs.sample(0, 0, "float64").T
    assert sample == pytest.approx(flat, rel=1e-12, abs=1e-12)
    moments = plan.inputs.moments()
    assert moments.mean == pytest.approx(0.0, abs=1e-13)
    assert moments.variance == pytest.approx(1.0, rel=1e-12)
    units = flat / np.linalg.norm(flat, axis=1)[:, None]
    pairs = (units @ units.T)[~np.eye(23, dtype=bool)]
    assert moments.cosine == pytest.approx(pairs.mean(), rel=1e-9)


def test_a_run_records_the_preparation_of_data_and_can_be_repeated(images, tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, images)
    options = {"width": 16, "trials": 2, "inputs": path, "flatten": True}
    run = propagate("selu", 2, **options, standardize=True)
    raw = propagate("selu", 2, **options)
    assert raw.second_moment.estimate[0] > 1000
    assert run.second_moment.estimate[0] == pytest.approx(1.0, rel=1e-6)
    saved = tmp_path / "run.json"
    saved.write_text("".join(runs_to_json([run])), encoding="utf-8")
    again = load(saved)
    assert (again.simulation.standardize, again.simulation.flatten) == (True, True)
    assert Plan.of(again).run().second_moment.estimate[2] == run.second_moment.estimate[2]


def test_huge_values_are_standardized_without_overflow():
    data = np.array([[1e200, -1e200], [3e200, 1e200]])
    found = check_data(data, "data", None, standardize=True).rows(slice(None))
    assert found == pytest.approx((data / 1e200 - 1.0) / np.sqrt(2.0))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inputs": "normal", "standardize": True}, "left out with drawn inputs"),
        ({"inputs": "uniform", "flatten": True}, "left out with drawn inputs"),
        ({"inputs": np.full((4, 3), 2.0), "standardize": True}, "values are all 2"),
        ({"inputs": np.ones((4, 3, 2))}, "use flatten"),
        ({"inputs": np.array([[1.0, np.nan]]), "standardize": True}, r"inputs\[0, 1\]"),
    ],
)
def test_unsuitable_data_are_refused(options, words):
    with pytest.raises(InvalidValueError, match=words):
        Plan.build("selu", 1, width=8, **options)
