"""--widths and --last on the command line: what they run, save, read back and refuse."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import snstat
from snstat.cli import group, run

SMALL = ["-b", "4", "-t", "2"]
FUNNEL = ["propagate", "-a", "tanh", "--widths", "42,30*3,12", "--last", "linear", *SMALL]


def invoke(*arguments, code=0):
    result = CliRunner().invoke(group, list(arguments))
    assert result.exit_code == code, result.output
    return result.stdout


def complaint(capsys, *arguments):
    """Run a command that must fail; return its one line on standard error."""
    assert run(list(arguments)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_the_header_lists_all_widths():
    first, *_ = invoke(*FUNNEL).splitlines()
    assert first.startswith("tanh · 4 layers: 42 → 30 ×3 → 12 · linear read-out · lecun_normal")


def test_the_record_suffices_to_simulate_the_network_again(tmp_path):
    (document,) = json.loads(invoke(*FUNNEL, "-f", "json"))["runs"]
    stack = document["stack"]
    assert (stack["widths"], stack["last"], stack["depth"]) == ("42,30*3,12", "identity", 4)
    assert [layer["shape"] for layer in document["layers"]] == [[42], [30], [30], [30], [12]]
    path = tmp_path / "run.json"
    invoke(*FUNNEL, "-o", str(path))
    saved = snstat.load(path)
    same = snstat.propagate("tanh", widths=[42, 30, 30, 30, 12], last="linear", batch=4, trials=2)
    assert saved.stack == same.stack
    np.testing.assert_array_equal(saved.variance.estimate, same.variance.estimate)
    # A check with only the file runs the same stack.
    invoke("check", str(path))
    invoke("check", "--baseline", str(path), "--same-seed", "--select", "SN701")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ({"widths": "42,30*2,12"}, "depth"),
        ({"widths": "42,x"}, "widths"),
        ({"widths": 3}, "widths"),
        ({"last": "tnah"}, "last"),
    ],
)
def test_a_damaged_description_is_refused(damage, told, tmp_path, capsys):
    document = json.loads(invoke(*FUNNEL, "-f", "json"))
    document["runs"][0]["stack"] |= damage
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    assert told in complaint(capsys, "check", str(path))


def test_each_widths_option_gives_a_run():
    document = json.loads(
        invoke("propagate", "--widths", "8,6,4", "--widths", "8*3", *SMALL, "-f", "json")
    )
    stacks = [entry["stack"] for entry in document["runs"]]
    assert [(s["widths"], s["depth"], s["width"]) for s in stacks] == [
        ("8,6,4", 2, 6),
        (None, 2, 8),
    ]


@pytest.mark.parametrize("flag", ["--depth", "--width", "-d", "-w"])
@pytest.mark.parametrize("command", ["propagate", "check", "plot"])
def test_widths_are_refused_beside_depth_and_width(command, flag, capsys):
    output = ["-o", "x.png"] if command == "plot" else []
    line = complaint(capsys, command, "--widths", "5,4", flag, "4", *output)
    assert "--widths" in line
    assert f"{flag} is 4" in line or "--width is 4" in line


@pytest.mark.parametrize(
    ("text", "told"), [("5", "at least one layer"), ("5,x", "whole number"), ("5,0", "one is 0")]
)
def test_an_invalid_list_of_widths_gives_one_line(text, told, capsys):
    line = complaint(capsys, "propagate", "--widths", text)
    assert "--widths" in line
    assert told in line


def test_an_unknown_last_activation_suggests_the_nearest(capsys):
    assert "did you mean 'identity'" in complaint(capsys, "propagate", "--last", "identiy")


def test_data_must_have_the_first_width(tmp_path, capsys):
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).normal(size=(20, 42)))
    invoke(*FUNNEL, "--inputs", str(path))
    line = complaint(capsys, "propagate", "--widths", "13,9", "--inputs", str(path))
    assert "begins with 42" in line


def test_a_configuration_takes_text_and_lists(tmp_path):
    path = tmp_path / "snstat.toml"
    path.write_text(
        '[check]\nactivation = "tanh"\nbatch = 4\ntrials = 4\nlast = "linear"\n'
        'select = ["SN101"]\n'
        '[check.text]\nwidths = "30,40*2,10"\n[check.list]\nwidths = [30, 40, 40, 10]\n'
    )
    document = json.loads(invoke("check", "--config", str(path), "-f", "json"))
    texts = [entry["stack"]["widths"] for entry in document["checks"]]
    assert texts == ["30,40*2,10", "30,40*2,10"]


def test_pictures_show_funnels(tmp_path):
    for kind in ("trajectory", "histogram"):
        path = tmp_path / f"{kind}.svg"
        invoke("plot", *FUNNEL[1:], "--kind", kind, "-o", str(path))
        assert path.stat().st_size > 1000
