"""Tables of networks whose layers have long names."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

import snstat
from snstat.report.table import print_runs


@pytest.fixture(scope="module")
def run():
    branch = [
        {"kind": "layer_norm", "name": "normalisation_before"},
        {"kind": "dense", "width": 16, "activation": "relu", "name": "expansion"},
        {"kind": "dense", "width": 8, "name": "projection_back"},
    ]
    residual = {"kind": "residual", "name": "feed_forward_network", "layers": branch}
    body = {"kind": "block", "name": "encoder_of_all", "times": 12, "layers": [residual]}
    form = {"input": {"channels": 8}, "layers": [body]}
    network = snstat.Network.read(form, name="long")
    return snstat.propagate(network, batch=8, trials=4, backward=True)


def table(run, width):
    console = Console(file=io.StringIO(), width=width)
    print_runs([run], console)
    lines = console.file.getvalue().splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("layer"))
    assert max(map(len, lines)) <= width
    return lines[start], [
        line.split()[1] for line in lines[start + 1 :] if line[:5].strip().isdigit()
    ]


@pytest.mark.parametrize(("width", "theories"), [(80, 1), (90, 2)])
def test_long_names_are_cut_before_theory_is_left_out(run, width, theories):
    header, names = table(run, width)
    assert header.count("theory") == theories
    assert len(set(names)) == len(names)


def test_names_are_no_shorter_than_the_numbers_need(run):
    header, names = table(run, 150)
    assert header.count("theory") >= 2
    assert "encoder_of_all.7.feed_forward_network" in names
