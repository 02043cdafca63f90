"""Saved runs describe their data: read back exactly, and refused where no data fit the
description."""

from __future__ import annotations

import json

import numpy as np
import pytest

import snstat
from snstat.errors import InputFileError


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    rows = np.random.default_rng(0).normal(size=(6, 8)) * np.arange(6)[:, None]
    run = snstat.propagate("relu", 2, width=8, batch=4, trials=2, inputs=rows)
    path = tmp_path_factory.mktemp("saved") / "run.json"
    snstat.save(run, path)
    return run, path


def test_data_are_read_back_exactly(saved):
    run, path = saved
    found = snstat.load(path).data
    assert found.largest == run.data.largest
    assert found.norms.second_moment == run.data.norms.second_moment
    assert found.norms.count == run.data.norms.count
    assert found.norms.largest == run.data.norms.largest
    np.testing.assert_array_equal(found.norms.cosine, run.data.norms.cosine)
    assert found.cosine_spread == run.data.cosine_spread


def test_drawn_inputs_have_no_description_of_data(tmp_path):
    run = snstat.propagate("relu", 2, width=8, batch=4, trials=2)
    snstat.save(run, tmp_path / "run.json")
    assert run.data is None
    assert '"data"' not in (tmp_path / "run.json").read_text()
    assert snstat.load(tmp_path / "run.json").data is None


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"data": 3}, "must be an object"),
        ({"largest": -1.0}, "at least 0"),
        ({"largest": "many"}, "number or null"),
        ({"norms": {"count": [1, 1]}}, "equally many of each"),
        ({"norms": {"count": [0, 1, 1, 1, 1, 1]}}, "count"),
        ({"norms": {"count": [1, 1, 1]} | {k: [] for k in ("cosine",)}}, "equally many of each"),
        ({"norms": {"second_moment": [0, 5, 4, 6, 7, 8]}}, "does not increase"),
        ({"norms": {"second_moment": [0, 0, 1, 2, 3, 4]}}, "classes of zeros"),
        ({"norms": {"second_moment": [0] * 6, "largest": 0}}, "classes of zeros"),
        (
            {"norms": {"second_moment": [0], "count": [6], "cosine": [[0]], "largest": 0}},
            "classes of zeros",
        ),
        ({"cosine_spread": -0.5}, "from 0 to 1"),
        ({"cosine_spread": "wide"}, "must be a number"),
        ({"norms": {"second_moment": [-1, 0, 1, 2, 3, 4]}}, "at least 0"),
        ({"norms": {"largest": 0.0}}, "norms.largest"),
        ({"norms": {"cosine": [[2.0] * 6] * 6}}, "from -1 to 1"),
        ({"norms": {"cosine": [[0.0]] * 6}}, "list of 6"),
        ({"norms": []}, "must be an object"),
    ],
)
def test_impossible_descriptions_are_refused(saved, tmp_path, change, complaint):
    document = json.loads(saved[1].read_text())
    data = document["runs"][0]["data"]
    for key, value in change.items():
        if key == "data":
            document["runs"][0]["data"] = value
        elif isinstance(value, dict):
            data[key] |= value
        else:
            data[key] = value
    (tmp_path / "bad.json").write_text(json.dumps(document))
    with pytest.raises(InputFileError, match=complaint):
        snstat.load(tmp_path / "bad.json")


def test_fewer_samples_than_a_batch_are_refused(saved, tmp_path):
    document = json.loads(saved[1].read_text())
    document["runs"][0]["simulation"]["batch"] = 7
    (tmp_path / "bad.json").write_text(json.dumps(document))
    with pytest.raises(InputFileError, match="the batch has 7"):
        snstat.load(tmp_path / "bad.json")
