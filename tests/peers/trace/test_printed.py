"""What the user's own code prints stays out of results on standard output."""

from __future__ import annotations

import csv
import io
import json
import sys

import pytest

import snstat
from snstat import cli

pytestmark = pytest.mark.peers

SOURCE = """
import torch

print("imported")

class Net(torch.nn.Linear):
    def forward(self, x):
        print("called")
        return super().forward(x)

def f():
    print("built")
    return Net(4, 4)

def loss(output):
    print("judged")
    return output.sum()
"""
TARGET = ["printing:f", "--input", "Bx4", "--loss", "printing:loss"]
PRINTED = {"imported", "built", "called", "judged"}


@pytest.fixture(autouse=True)
def _printing(tmp_path, monkeypatch):
    (tmp_path / "printing.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "printing", raising=False)


def output_of(arguments, capsys):
    """Return standard output, after a look at what is printed elsewhere."""
    assert cli.run(arguments) == 0
    printed = capsys.readouterr()
    assert set(printed.err.split()) >= PRINTED
    return printed.out


def test_results_of_a_trace_are_read_as_they_come(capsys):
    (run,) = json.loads(output_of(["trace", *TARGET, "-f", "json"], capsys))["runs"]
    assert run["module"]["target"] == "printing:f"
    del sys.modules["printing"]
    rows = list(csv.DictReader(io.StringIO(output_of(["trace", *TARGET, "-f", "csv"], capsys))))
    assert [row["path"] for row in rows] == ["", "Net"]


def test_verdicts_are_read_as_they_come(capsys):
    (check,) = json.loads(output_of(["check", *TARGET, "-f", "json"], capsys))["checks"]
    assert check["name"] == "printing:f"


def test_pictures_are_read_as_they_come(capsys):
    assert output_of(["plot", *TARGET, "-o", "-", "-f", "svg"], capsys)[:5] == "<?xml"


def test_in_python_the_code_prints_where_it_prints(capsys):
    snstat.trace("printing:f", "Bx4", loss="printing:loss")
    assert set(capsys.readouterr().out.split()) == PRINTED
