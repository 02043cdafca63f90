"""What theory of pairs of positions takes is said before it begins."""

from __future__ import annotations

import pytest

from snstat.cli import run
from snstat.experiment import theory_room
from snstat.experiment.theory_room import takes_time, theory_bytes, theory_takes
from snstat.network.network import Network

FILE = """\
input = { channels = 2, grid = [8] }
[[layers]]
kind = "conv"
channels = 2
kernel = 3
[[layers]]
kind = "global_mean_pool"
"""
WORDS = "theory of 65 pairs of positions takes about "


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "model.toml"
    found.write_text(FILE)
    return str(found)


def test_pairs_of_all_layers_are_counted(path, monkeypatch):
    """8 · 8 behind the convolution, and 1 behind the pool."""
    network = Network.load(path)
    assert theory_bytes(network) == 65 * theory_room.BYTES
    assert not takes_time(network)
    assert theory_takes(network) == ""
    monkeypatch.setattr(theory_room, "QUICK_PAIRS", 64)
    assert takes_time(network)
    monkeypatch.setattr(theory_room, "SECONDS", 0.2)
    assert theory_takes(network) == f"{WORDS}13 s"  # and next to no memory
    monkeypatch.setattr(theory_room, "BYTES", 2.0**30)
    assert theory_takes(network) == f"{WORDS}13 s and 65.0 GiB"


@pytest.mark.parametrize(
    "words",
    [
        "propagate -b 2 -t 2",
        "check -b 2 -t 2",
        "show --theory",
        "show --positions",
        "show --positions --theory",
        "plot --kind positions -o positions.png",
    ],
)
def test_commands_say_it_before_they_begin(path, words, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(theory_room, "QUICK_PAIRS", 64)
    monkeypatch.chdir(tmp_path)
    name, *more = words.split()
    assert run([name, path, *more]) == 0
    assert capsys.readouterr().err.count(f"snstat: {WORDS}") == 1


def test_pairs_that_do_not_fit_are_refused_in_one_line(path, capsys, monkeypatch):
    monkeypatch.setattr(theory_room, "BYTES", 1e20)
    for arguments, remedy in (
        (["propagate", path, "-b", "2"], "theory of pairs of positions takes most of it"),
        (["show", path], "use a smaller grid"),
    ):
        assert run(arguments) == 2
        found = capsys.readouterr()
        assert found.out == ""
        assert "memory needed" in found.err
        assert remedy in found.err
        assert found.err.count("\n") == 1
