"""Where theory of a network ends, in its file: written, read back, and refused where damaged."""

from __future__ import annotations

import json

import pytest

import snstat
from snstat.errors import SnstatError
from snstat.results.theory_end import TheoryEnd

REASON = "the law of a maximum is not one of a few moments"


@pytest.fixture(scope="module")
def run():
    layers = [{"kind": "max_pool", "size": 2}, {"kind": "flatten"}, {"kind": "dense", "width": 4}]
    network = snstat.Network.read({"input": {"channels": 4, "grid": [4]}, "layers": layers})
    return snstat.propagate(network, batch=2, trials=2)


def test_a_run_says_it_and_its_file_does(run, tmp_path):
    path = tmp_path / "run.json"
    snstat.save(run, path)
    found = snstat.load(path)
    assert found.theory_ends == run.theory_ends
    assert run.theory_ends[0] == TheoryEnd("signal", 1, REASON)
    assert found == run
    form = json.loads(path.read_text())
    del form["runs"][0]["theory_ends"]  # as in older files
    path.write_text(json.dumps(form))
    assert snstat.load(path).theory_ends == ()
    assert snstat.load(path) == run


@pytest.mark.parametrize(
    ("damaged", "words"),
    [
        (3, "theory_ends is 3, but must be a list"),
        ([3], "an entry of theory_ends is 3, but must be an object"),
        ([{"of": "signal", "layer": 1}], "theory_ends has no 'reason'"),
        ([{"of": "units", "layer": -1, "reason": "x"}], "layer is -1"),
        ([{"of": "hope", "layer": 1, "reason": "x"}], "of is 'hope'"),
        (
            [{"of": "units", "layer": 4, "reason": "x"}],
            "theory_ends has layer 4, but the network has 3",
        ),
        ([{"of": "signal", "layer": 1, "reason": ""}], "reason is empty"),
    ],
)
def test_damaged_ends_are_refused(run, tmp_path, damaged, words):
    path = tmp_path / "run.json"
    snstat.save(run, path)
    form = json.loads(path.read_text())
    form["runs"][0]["theory_ends"] = damaged
    path.write_text(json.dumps(form))
    with pytest.raises(SnstatError) as error:
        snstat.load(path)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
