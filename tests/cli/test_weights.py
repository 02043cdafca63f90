"""`snstat weights`, and `snstat check` of files of weights, as commands."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import snstat
from snstat import cli
from snstat.files import weights_form
from snstat.files.schema import schema
from snstat.report.weights_table import FURTHER
from tests.sources.files import npz, safetensors
from tests.sources.initialisers import drawn

RNG = np.random.default_rng(8)
ARRAYS = {
    "a.weight": drawn("torch_default", RNG, (60, 90)),
    "a.bias": np.ones(60),
    "b.weight": drawn("lecun_normal", RNG, (90, 90)),
    "cut.weight": drawn("he_truncated_uncorrected", RNG, (50, 90)),
}


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    save("w.npz", ARRAYS)


def save(name, arrays):
    with open(name, "wb") as file:  # noqa: PTH123
        file.write((npz if name.endswith("npz") else safetensors)(arrays))


def call(capsys, *arguments, expected=0):
    assert cli.run([*map(str, arguments)]) == expected
    captured = capsys.readouterr()
    return captured.out if expected < 2 else captured.err


def document(capsys, *arguments, name="weights", expected=0):
    form = json.loads(call(capsys, *arguments, "-f", "json", expected=expected))
    Draft202012Validator(schema(name)).validate(form)
    return form


def test_json_is_the_record(capsys):
    form = document(capsys, "weights", "w.npz")
    found = snstat.weights("w.npz")
    assert form["file"] == "w.npz"
    assert [tensor["name"] for tensor in form["tensors"]] == [t.name for t in found.tensors]
    for entry, tensor in zip(form["tensors"], found.tensors, strict=True):
        assert entry["gain"] == tensor.gain
        assert [scheme["name"] for scheme in entry["schemes"]] == [s.name for s in tensor.schemes]
        assert entry["weight_sum"] == dict(tensor.weight_sum)
    assert form["skipped"] == [{"name": "a.bias", "reason": "1-D", "non_finite": 0}]


def test_json_of_special_matrices_is_valid(capsys):
    special = {
        "nan": np.full((3, 4), np.nan),
        "zeros": np.zeros((3, 4)),
        "huge": np.full((2, 2), 1e200),
        "one": np.ones((1, 1)),
        "orthogonal": np.eye(5),
    }
    save("s.safetensors", special)
    form = document(capsys, "weights", "s.safetensors")
    assert [tensor["non_finite"]["count"] for tensor in form["tensors"]] == [3, 0, 0, 0, 0]


def test_csv_has_a_line_for_each_matrix(capsys):
    rows = list(csv.DictReader(io.StringIO(call(capsys, "weights", "w.npz", "-f", "csv"))))
    assert [row["name"] for row in rows] == ["a.weight", "b.weight", "cut.weight"]
    assert rows[0]["schemes"] == "torch_default"
    assert float(rows[0]["gain"]) == snstat.weights("w.npz").tensors[0].gain


def test_the_table_names_schemes_and_what_is_wrong(capsys):
    values = {**ARRAYS, "b.weight": ARRAYS["b.weight"].copy()}
    values["b.weight"][4], values["b.weight"][6, 1] = 0, np.inf
    values["b.weight"][8] = values["b.weight"][7]
    save("bad.safetensors", values)
    out = call(capsys, "weights", "bad.safetensors")
    lines = out.splitlines()
    assert lines[0] == "bad.safetensors · 3 weight matrices · 1 tensor not judged"
    assert any(line.startswith("a.weight") and "torch_default" in line for line in lines)
    assert "! b.weight: row 6 is not finite" in lines
    assert "! b.weight: row 4 is 0" in lines
    assert "! b.weight: row 8 is equal to an earlier row or its negative" in lines
    assert "not judged: a.bias (1-D)" in lines
    markdown = call(capsys, "weights", "bad.safetensors", "-f", "markdown")
    assert "- b.weight: row 4 is 0" in markdown


def header_of(out):
    return next(line for line in out.splitlines() if line.startswith("tensor"))


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_what_a_terminal_has_no_room_for_is_named_once(width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    out = call(capsys, "weights", "w.npz")
    header, words = re.split(r"  +", header_of(out)), " ".join(out.split())
    _, _, rest = words.partition("Not shown: ")
    hidden, found, _ = rest.partition(". Widen the terminal, or use --columns.")
    assert (found != "") == (width < 200)
    named = hidden.replace(" and ", ", ").split(", ") if found else []
    every = ("tensor", "shape", "fan in", "gain", "looks like", "square sum", "σ max",
             "in theorem 1", "sum", "kurtosis", "dtype")  # fmt: skip
    further = [FURTHER] if FURTHER in named else []
    assert sorted([*header, *named]) == sorted([*every, *further])
    assert bool(further) == (width == 60)
    assert ("fan in" in header) == (width >= 80)
    assert max(map(len, out.splitlines())) <= max(width, 64)


def test_chosen_columns_are_shown_in_several_tables(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    out = call(capsys, "weights", "w.npz", "--columns", "all")
    heads = [line for line in out.splitlines() if line.startswith("tensor")]
    assert len(heads) > 1
    for title in ("fan in", "looks like", "square sum", "kurtosis", "dtype"):
        assert sum(f" {title}" in line for line in heads) == 1
    assert "Not shown" not in out
    out = call(capsys, "weights", "w.npz", "--columns", "fan-in, dtype")
    assert header_of(out).split() == ["tensor", "fan", "in", "dtype"]
    row = next(line for line in out.splitlines() if line.startswith("a.weight"))
    assert row.split() == ["a.weight", str(ARRAYS["a.weight"].shape[1]), "float64"]
    markdown = call(capsys, "weights", "w.npz", "--columns", "fan_in", "-f", "markdown")
    assert "| tensor | fan in |" in " ".join(markdown.split())
    err = call(capsys, "weights", "w.npz", "--columns", "fan_on", expected=2)
    assert "--columns" in err
    assert "'fan_in'" in err


def test_the_fan_in_of_a_layout_is_shown(capsys):
    save("k.npz", {"conv/kernel": np.ones((3, 3, 5, 7)) + np.arange(7), "w": np.eye(4)})
    out = call(capsys, "weights", "k.npz", "--columns", "fan_in")
    rows = dict(line.split() for line in out.splitlines() if line.startswith(("conv", "w ")))
    assert rows == {"conv/kernel": "45", "w": "4"}


def test_all_names_that_fit_have_their_z(capsys, monkeypatch):
    """Of so few values, several variances fit."""
    few = np.random.default_rng(0).standard_normal((4, 5)) / np.sqrt(5)
    save("few.npz", {"w": few})
    (tensor,) = snstat.weights("few.npz").tensors
    assert len(tensor.schemes) > 3
    monkeypatch.setenv("COLUMNS", "1000")
    out = call(capsys, "weights", "few.npz")
    (row,) = (line for line in out.splitlines() if line.startswith("w "))
    for scheme in tensor.schemes:
        told = re.search(rf"\b{re.escape(scheme.name)}(?: = [^,]+)?, z ([+-]\d+\.\d)", row)
        assert told is not None, scheme.name
        assert float(told[1]) == pytest.approx(scheme.z, abs=0.051)
    (line,) = csv.DictReader(io.StringIO(call(capsys, "weights", "few.npz", "-f", "csv")))
    assert line["schemes"].split() == [scheme.name for scheme in tensor.schemes]
    assert [*map(float, line["z"].split())] == [scheme.z for scheme in tensor.schemes]
    monkeypatch.setenv("COLUMNS", "80")
    out = " ".join(call(capsys, "weights", "few.npz").split())
    assert f" or {len(tensor.schemes) - 1} more" in out or " more " in out
    assert "Not shown: further initialisers that fit" in out


def test_only_and_layout(capsys):
    form = document(capsys, "weights", "w.npz", "--only", "cut.*", "--layout", "keras")
    (tensor,) = form["tensors"]
    assert (tensor["fan_in"], tensor["fan_out"], tensor["layout"]) == (50, 90, "jax")
    err = call(capsys, "weights", "w.npz", "--only", "nothing", expected=2)
    assert "--only" in err


def test_the_name_of_a_module_is_told_from_a_file(capsys):
    err = call(capsys, "weights", "models:resnet", expected=2)
    assert "is the name of a module, and no file of weights; trace a module with" in err
    save("models:resnet", ARRAYS)
    assert len(document(capsys, "weights", "models:resnet")["tensors"]) == 3


def test_output_goes_to_a_file(capsys, tmp_path):
    call(capsys, "weights", "w.npz", "-o", "w.csv")
    assert (tmp_path / "w.csv").read_text("utf-8").startswith("name,shape,")


def check(capsys, *arguments, expected=1):
    form = document(capsys, "check", *arguments, name="check", expected=expected)
    (one,) = form["checks"]
    return one


def codes(found):
    return [finding["code"] for finding in found["findings"]]


def test_a_sound_file_passes(capsys):
    save("good.npz", {"b.weight": ARRAYS["b.weight"], "bias": np.ones(3)})
    found = check(capsys, "good.npz", "-a", "selu", "--init", "lecun_normal", expected=0)
    assert (found["verdict"], found["name"], found["notes"]) == ("sound", "good.npz", [])
    assert found["weights"] == {
        "file": "good.npz",
        "matrices": 1,
        "others": 1,
        "activation": "selu",
        "init": "lecun_normal",
    }
    assert (found["stack"], found["network"], found["simulation"]) == (None, None, None)


def test_what_is_not_declared_is_not_judged(capsys):
    found = check(capsys, "w.npz")
    assert codes(found) == ["SN605"]
    assert found["notes"] == ["SN604 and SN606 not judged: give --init and --activation"]


def test_other_initialisers_are_found(capsys):
    found = check(capsys, "w.npz", "--init", "lecun_normal", "--select", "SN604")
    (finding,) = found["findings"]
    assert finding["value"] == 2.0
    assert "a.weight and 1 other" in finding["message"]
    assert "looks like torch_default" in finding["message"]
    check(capsys, "w.npz", "--init", "kaiming_normal", "--select", "SN604")  # an alias


@pytest.mark.parametrize(
    ("activation", "broken"), [("selu", True), ("tanh", True), ("relu", False), ("gelu", False)]
)
def test_the_default_of_pytorch_under_activations(capsys, activation, broken):
    found = check(capsys, "w.npz", "-a", activation, "--select", "SN606", expected=int(broken))
    assert codes(found) == ["SN606"] * broken
    for finding in found["findings"]:
        # The gain of the first of them, 1/√3 but for chance.
        assert finding["value"] == pytest.approx(3**-0.5, rel=0.1)
        shown = f"a.weight: drawn with torch_default (gain {finding['value']:.4g})"
        assert finding["message"].startswith(shown)


def test_infinities_in_matrices_and_biases_are_found(capsys):
    for name in ("a.weight", "a.bias"):
        values = {**ARRAYS, name: ARRAYS[name].copy()}
        values[name][5] = np.inf
        save("bad.npz", values)
        found = check(capsys, "bad.npz", "--ignore", "SN605")
        assert (found["verdict"], codes(found)) == ("non-finite", ["SN602"])
        assert name in found["findings"][0]["message"]
    values = {name: np.full((3, 4), np.nan) for name in "ab"}
    save("bad.npz", values)
    words = "row 0 of a holds values that are not finite, the first of 6 such rows in 2 matrices"
    assert words in check(capsys, "bad.npz")["findings"][0]["message"]


def test_dead_rows_are_found_and_whole_matrices_of_0_are_not(capsys):
    values = ARRAYS["b.weight"].copy()
    values[[3, 9]] = 0
    save("dead.npz", {"w": values, "zeros": np.zeros((4, 4))})
    found = check(capsys, "dead.npz")
    assert codes(found) == ["SN603"]
    assert found["findings"][0]["value"] == 2.0
    assert "row 3 of w is 0, the first of 2 such rows;" in found["findings"][0]["message"]
    save("dead.npz", {"w": values, "v": values})
    words = "row 3 of w is 0, the first of 4 such rows in 2 matrices"
    assert words in check(capsys, "dead.npz")["findings"][0]["message"]


def test_baselines_keep_the_names(capsys):
    call(capsys, "check", "w.npz", "--write-baseline", "base.json", "--ignore", "SN605")
    Draft202012Validator(schema("weights")).validate(
        json.loads(Path("base.json").read_text("utf-8"))
    )
    again = ("--baseline", "base.json", "--ignore", "SN605")
    found = check(capsys, "w.npz", *again, expected=0)
    assert found["baseline"] == "base.json"
    changed = {**ARRAYS, "b.weight": drawn("he_normal", RNG, (90, 90))}
    del changed["a.weight"]
    save("new.npz", changed)
    found = check(capsys, "new.npz", *again)
    assert codes(found) == ["SN604"]
    assert "b.weight: not drawn with" in found["findings"][0]["message"]
    assert found["notes"][-1] == "a.weight of the baseline is not here"
    save("new.npz", {"b.weight": ARRAYS["b.weight"]})
    found = check(capsys, "new.npz", *again, expected=0)
    words = "2 matrices of the baseline are not here, such as a.weight"
    assert found["notes"][-1] == words


def test_names_in_a_baseline_are_shown_on_one_short_line(capsys):
    names, old = ["\x1b[31mred\n" + "x" * 300, "b.weight"], [{"name": "\x1b[1m\n"}]
    tensors = [{"name": name, "schemes": old} for name in names]
    form = {"schema": "snstat.weights/1", "tensors": tensors}
    Path("base.json").write_text(json.dumps(form), "utf-8")
    for kind in ("table", "markdown", "junit", "github", "json"):
        out = call(capsys, "check", "w.npz", "--baseline", "base.json", "-f", kind, expected=1)
        assert "\x1b" not in out
        assert "x" * 60 not in out
        assert "red" in out
    found = check(capsys, "w.npz", "--baseline", "base.json")
    assert all(note.isprintable() for note in found["notes"])
    assert all(finding["message"].isprintable() for finding in found["findings"])


def test_an_initialiser_that_is_given_stands_before_a_baseline(capsys):
    save("b.npz", {"b.weight": ARRAYS["b.weight"]})
    call(capsys, "check", "b.npz", "--write-baseline", "base.json")
    both = ("--baseline", "base.json", "--select", "SN604", "--init")
    assert codes(check(capsys, "b.npz", *both, "lecun_normal", expected=0)) == []
    (finding,) = check(capsys, "b.npz", *both, "he_normal")["findings"]
    assert "b.weight: not drawn with he_normal" in finding["message"]


def test_a_baseline_of_another_model_is_refused(capsys):
    call(capsys, "check", "w.npz", "--write-baseline", "base.json", "--ignore", "SN605")
    save("other.npz", {"other.weight": ARRAYS["b.weight"]})
    error = call(capsys, "check", "other.npz", "--baseline", "base.json", expected=2)
    assert "base.json: none of its matrices (3) is in other.npz; give the baseline" in error


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON"),
        ("{}", "its schema is None"),
        ("[]", "no JSON object"),
        ("[" * 10**5, "nested too deeply"),
        ('{"schema": "snstat.weights/1", "schema": "snstat.weights/1"}', "given twice"),
        ('{"schema": "snstat.check/1"}', "its schema is 'snstat.check/1'"),
        ('{"schema": "snstat.weights/1"}', "no tensors"),
        ('{"schema": "snstat.weights/1", "tensors": [{"name": 1, "schemes": []}]}', "no tensors"),
        (
            '{"schema": "snstat.weights/1", "tensors": [{"name": "a", "schemes": [1]}]}',
            "no tensors",
        ),
    ],
)
def test_damaged_baselines_are_refused(capsys, tmp_path, text, words):
    (tmp_path / "base.json").write_text(text, "utf-8")
    err = call(capsys, "check", "w.npz", "--baseline", "base.json", expected=2)
    (line,) = err.splitlines()
    assert "base.json" in line
    assert words in line


def test_a_baseline_that_is_too_large_is_refused(capsys, monkeypatch):
    monkeypatch.setattr(weights_form, "MOST_BYTES", 2**20)
    Path("base.json").write_text(" " * 2**20 + "{}", "utf-8")
    err = call(capsys, "check", "w.npz", "--baseline", "base.json", expected=2)
    assert "base.json: is larger than 1 MiB" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("w.npz", "--depth", "3"), "--depth cannot be used beside a file of weights"),
        (("w.npz", "--trials", "3"), "--trials cannot be used"),
        (("w.npz", "-a", "selu,relu"), "number of activations"),
        (("w.npz", "--select", "SN101"), "a rule of files of weights"),
        (
            ("w.npz", "run.json"),
            "run.json is no file of weights by its name; check it alone, or see",
        ),
        (("w.npz", "w.npz", "--write-baseline", "b.json"), "1 beside --write-baseline"),
        (("missing.safetensors",), "no such file"),
        (("--select", "SN602"), "a rule of networks"),
    ],
)
def test_wrong_usage_is_one_line(capsys, arguments, words):
    err = call(capsys, "check", *arguments, expected=2)
    (line,) = err.splitlines()
    assert words in line


@pytest.mark.parametrize("form", ["table", "markdown", "junit", "github"])
def test_every_format_has_the_findings(capsys, form):
    out = call(capsys, "check", "w.npz", "w.npz", "-f", form, expected=1)
    assert out.count("SN605 truncated-uncorrected") >= 2 or out.count("**SN605**") == 2


def test_explain_and_list_know_the_rules(capsys):
    assert "SN602" in call(capsys, "check", "--list-rules")
    assert "truncated" in call(capsys, "check", "--explain", "SN605")
