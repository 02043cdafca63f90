"""Networks of any layers through the whole pipe: run, table, files."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

import snstat
from snstat import layers as L  # noqa: N812  # as the documentation spells it
from snstat import limits
from snstat.engine.general import footprint as network_footprint
from snstat.errors import InvalidValueError, SnstatError
from snstat.experiment.plans import plan_of
from snstat.layers.shape import Shape
from snstat.network.run_settings import RunSettings
from snstat.report.selection import parse_layers
from snstat.report.table import print_runs
from snstat.report.text import runs_to_csv, runs_to_markdown
from tests.files.test_schemas import errors

FILE = """
input = {channels = 6}
parameters = {blocks = 2, width = 6}

[[layers]]
kind = "block"
name = "body"
times = "=blocks"
layers = [{kind = "residual", name = "ffn", layers = [
  {kind = "layer_norm"},
  {kind = "dense", name = "up", width = "=4*width", activation = "gelu"},
  {kind = "dense", name = "down", width = "=width"},
]}]

[[layers]]
kind = "dense"
name = "head"
width = 3
"""
NAMES = [
    "input",
    *(f"body.{n}.ffn{row}" for n in (0, 1) for row in (".0", ".up", ".down", "")),
    "head",
]
TOP_ROW = re.compile(r"input|body\.\d\.ffn|head")
SAMPLING = {"batch": 4, "trials": 2, "seed": 5}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "small.toml"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def run(file):
    return snstat.propagate(file, backward=True, keep_trials=True, **SAMPLING)


def test_a_network_and_the_path_of_its_file_are_one_subject(file, run):
    options = {"backward": True, "keep_trials": True, **SAMPLING}
    assert snstat.propagate(str(file), **options) == run
    assert snstat.propagate(snstat.Network.load(file), **options) == run
    assert [layer.name for layer in run.layers] == NAMES
    assert run.stack is None
    deeper = snstat.propagate(file, set={"blocks": 3}, **SAMPLING)
    assert deeper.depth == run.depth + 4
    assert deeper.subject != run.subject


def test_a_run_is_read_back_equal(run, tmp_path):
    snstat.save(run, tmp_path / "run.json")
    loaded = snstat.load(tmp_path / "run.json")
    assert loaded == run
    assert [layer.to_json() for layer in loaded.layers] == [x.to_json() for x in run.layers]
    document = json.loads((tmp_path / "run.json").read_text())
    assert errors(document, "propagation") == []
    assert document["runs"][0]["stack"] is None
    assert snstat.Network.read(document["runs"][0]["network"]).depth == run.depth


@pytest.mark.parametrize("damage", [{"layers": []}, {"input": {"channels": 0}}, None, 3])
def test_a_damaged_network_is_refused_in_one_line(run, tmp_path, damage):
    snstat.save(run, tmp_path / "run.json")
    document = json.loads((tmp_path / "run.json").read_text())
    form = document["runs"][0]["network"]
    document["runs"][0]["network"] = form | damage if isinstance(damage, dict) else damage
    (tmp_path / "run.json").write_text(json.dumps(document))
    with pytest.raises(SnstatError, match="network") as caught:
        snstat.load(tmp_path / "run.json")
    assert "\n" not in str(caught.value)


def test_a_network_that_is_a_uniform_stack_is_simulated_as_one():
    stack = {"activation": "relu", "depth": 3, "width": 16}
    plain = snstat.propagate(**stack, **SAMPLING)
    network = snstat.Network.of(snstat.Stack.build(**stack))
    assert snstat.propagate(network, **SAMPLING) == plain
    named = snstat.Network(network.input, network.block, name="mine")
    run = snstat.propagate(named, **SAMPLING)
    assert run.stack == plain.stack
    assert run.network.name == "mine"
    np.testing.assert_array_equal(run.variance.expected, plain.variance.expected)
    assert [layer.sampler for layer in run.layers] == [None, *[run.simulation.sampler] * 3]


def test_layers_of_a_stack_without_a_name_keep_their_own_names(tmp_path):
    layers = L.named("embed", L.Dense(8, "selu")), L.repeat(2, L.Dense(8, "selu"))
    network = snstat.Network(8, L.chain(*layers, L.named("head", L.Dense(4))))
    run = snstat.propagate(network, **SAMPLING)
    assert run.stack is not None
    assert [row.name for row in run.layers] == ["input", "embed", "1.0.0", "1.1.0", "head"]
    snstat.save(run, tmp_path / "run.json")
    assert snstat.load(tmp_path / "run.json") == run


def test_such_a_run_is_read_back_equal(tmp_path):
    network = snstat.Network.of(snstat.Stack.build("relu", depth=3, width=16))
    named = snstat.Network(network.input, network.block, name="mine")
    run = snstat.propagate(named, **SAMPLING)
    snstat.save(run, tmp_path / "run.json")
    assert snstat.load(tmp_path / "run.json") == run


def test_options_of_a_stack_are_refused_beside_a_network(file):
    with pytest.raises(InvalidValueError, match="depth is 3, but must be left out"):
        snstat.propagate(file, depth=3)
    with pytest.raises(InvalidValueError, match="it sets the parameters of a file"):
        snstat.propagate("relu", depth=3, set={"width": 3})


def test_data_have_the_units_of_the_input(file):
    data = np.random.default_rng(0).normal(size=(9, 6))
    run = snstat.propagate(file, inputs=data, **SAMPLING)
    assert run.simulation.inputs == "array"
    assert run.simulation.inputs_digest is not None
    with pytest.raises(InvalidValueError, match="7 units"):
        snstat.propagate(file, inputs=np.ones((9, 7)))


def test_data_on_a_grid_have_the_channels_last(tmp_path):
    """Pictures that are constant over positions: each is a vector of 4 channels, many times."""
    vectors = np.random.default_rng(0).normal(size=(6, 1, 1, 4))
    pictures = np.broadcast_to(vectors, (6, 2, 3, 4))
    np.save(tmp_path / "pictures.npy", pictures)
    network = snstat.Network(Shape(4, (2, 3)), L.Scale(1.0))
    path = str(tmp_path / "pictures.npy")
    runs = [
        snstat.propagate(network, inputs=data, batch=6, trials=1)
        for data in (path, pictures, pictures.reshape(6, 24))
    ]
    for run in runs:
        cosine = run.statistics["position_cosine"].estimate[0]
        assert cosine == pytest.approx(1.0, abs=1e-6)  # of float32
        assert not run.simulation.flatten
        assert run.simulation.inputs_digest == runs[0].simulation.inputs_digest
    # Without channels, or positions, beside each other there is one order.
    for shape, forms in (
        (Shape(1, (2, 3)), [(2, 3), (2, 3, 1), (1, 2, 3), (6,)]),
        (Shape(6, (1, 1)), [(1, 1, 6), (6, 1, 1), (6,)]),
    ):
        values = vectors.reshape(-1)[:24].reshape(4, 6)
        digests = {
            snstat.propagate(
                snstat.Network(shape, L.Scale(1.0)), inputs=values.reshape(4, *form), batch=4
            ).simulation.inputs_digest
            for form in forms
        }
        assert len(digests) == 1
    first = np.moveaxis(pictures, -1, 1)
    for flatten in (False, True):
        with pytest.raises(InvalidValueError, match=r"\(6, 4, 2, 3\).*\(samples, 2, 3, 4\)"):
            snstat.propagate(network, inputs=first, batch=6, trials=1, flatten=flatten)
    other = np.ones((6, 3, 2, 4))
    with pytest.raises(InvalidValueError, match=r"\(samples, 2, 3, 4\), channels last$"):
        snstat.propagate(network, inputs=other, batch=6, trials=1)
    assert snstat.propagate(network, inputs=other, batch=6, trials=1, flatten=True).depth == 1


def test_options_of_drawn_inputs_replace_the_law_of_the_file(file):
    run = snstat.propagate(file, input_std=3.0, inputs="uniform", **SAMPLING)
    assert run.second_moment.theory[0] == pytest.approx(9.0)
    assert (run.simulation.inputs, run.simulation.input_std) == ("uniform", 3.0)


def test_csv_and_markdown_name_the_layers(run):
    rows = list(csv.DictReader(io.StringIO("".join(runs_to_csv([run])))))
    whole = [row for row in rows if not row["trial"]]
    assert [row["name"] for row in whole] == NAMES
    assert {row["network"] for row in rows} == {"small"}
    assert whole[2]["kind"] == "dense"
    assert whole[2]["shape"] == "24"
    assert "| body.0.ffn.up |" in runs_to_markdown([run]).replace("  ", " ")


def test_csv_says_how_each_layer_was_sampled():
    """A layer of few units is drawn in less time than what takes the place of its weights."""
    network = L.chain(L.Dense(512), L.LayerNorm(), L.Dense(4), L.Dense(2))
    mixed = snstat.propagate(snstat.Network(512, network), batch=4, trials=2)
    rows = list(csv.DictReader(io.StringIO("".join(runs_to_csv([mixed])))))
    assert {row["sampler"] for row in rows} == {"auto"}
    assert [row["layer_sampler"] for row in rows] == ["", "matrix-free", "", "dense", "dense"]
    assert [row.sampler or "" for row in mixed.layers] == [row["layer_sampler"] for row in rows]


def test_a_file_that_claims_a_billion_layers_is_refused_at_once(run, tmp_path):
    snstat.save(run, tmp_path / "run.json")
    document = json.loads((tmp_path / "run.json").read_text())
    document["runs"][0]["network"]["layers"][0]["times"] = 10**8
    for partial in (False, True):
        document["runs"][0]["partial"] = partial
        (tmp_path / "run.json").write_text(json.dumps(document))
        with pytest.raises(SnstatError, match=r"memory needed|layers 0 to 9"):
            snstat.load(tmp_path / "run.json")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("top", ["input", "body.0.ffn", "body.1.ffn", "head"]),
        ("body.*.up", ["body.0.ffn.up", "body.1.ffn.up"]),
        ("body.1", [name for name in NAMES if name.startswith("body.1.")]),
        ("0,last,body.1.ffn.down", ["input", "body.1.ffn.down", "head"]),
        ("*", NAMES),
    ],
)
def test_layers_are_chosen_by_name(run, text, names):
    assert [NAMES[layer] for layer in parse_layers(text).of(run.subject)] == names


def test_names_that_no_layer_has_are_refused(run):
    with pytest.raises(InvalidValueError, match=r"did you mean 'body\.0\.ffn\.up'"):
        parse_layers("body.0.ffn.upp").of(run.subject)
    with pytest.raises(InvalidValueError, match="give top alone, not in a list"):
        parse_layers("top,head").of(run.subject)
    with pytest.raises(InvalidValueError, match=r"did you mean '\*\.ffn'"):
        parse_layers("ffn").of(run.subject)
    with pytest.raises(InvalidValueError, match="layers all lists the names"):
        parse_layers("*.attention").of(run.subject)
    stack = snstat.propagate("relu", depth=1, width=4, **SAMPLING).subject
    with pytest.raises(InvalidValueError, match="did you mean 'log'"):
        parse_layers("lgo").of(stack)


def test_the_table_names_layers_and_kinds(run):
    assert repr(run).startswith("small · 9 layers · 6 → 3\n")
    buffer = io.StringIO()
    print_runs([run], Console(file=buffer, width=120))
    text = buffer.getvalue()
    assert "body.0.ffn.up" in text
    assert "body.0.ffn.0 layer_norm" in text


@pytest.mark.parametrize("width", [80, 120])
def test_long_names_leave_room_for_numbers(width):
    name = "projection_to_the_dimension_of_the_model"
    layer = {"kind": "dense", "width": 4, "name": name}
    block = {"kind": "block", "name": "encoder_of_the_source", "layers": [layer], "times": 3}
    form = {"name": "long", "input": {"channels": 4}, "layers": [block]}
    network = snstat.Network.read(form)
    buffer = io.StringIO()
    print_runs([snstat.propagate(network, **SAMPLING)], Console(file=buffer, width=width))
    text = buffer.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert re.search(r"^ +3  enco[^.]*\.2\.proj.*…  ", text, re.MULTILINE)
    assert re.search("^layer  name +mean.*variance", text, re.MULTILINE)


def test_bars_show_the_layers_that_are_not_within_a_residual(run):
    (line,) = [line for line in repr(run).splitlines() if line.startswith("variance")]
    top = run.variance.estimate[[NAMES.index(name) for name in NAMES if TOP_ROW.fullmatch(name)]]
    assert line.startswith("variance outside residuals ")
    low, high = (float(number) for number in re.search(r"([\d.]+) to ([\d.]+)$", line).groups())
    # Three digits are shown.
    assert (low, high) == pytest.approx((top.min(), top.max()), rel=1e-2)
    plain = snstat.propagate("relu", depth=2, width=4, **SAMPLING)
    assert "residual" not in repr(plain)


def test_absurd_sizes_are_refused_before_memory_is_taken(file):
    with pytest.raises(InvalidValueError, match=r"layer body\.0\.ffn\.\S+ alone takes"):
        snstat.propagate(file, batch=10**8, set={"width": 6})
    deep = {"layers": [{"kind": "block", "times": 10**8, "layers": [{"kind": "rms_norm"}] * 2}]}
    with pytest.raises(InvalidValueError, match="memory needed"):
        snstat.propagate(snstat.Network.read({"input": {"channels": 2}, **deep}))


def test_the_way_back_counts_where_memory_is_short(file, monkeypatch):
    """It keeps what was fed to about √depth layers, while the way forward keeps a few."""
    monkeypatch.setattr(limits, "physical_memory", lambda: 2.0**31)
    monkeypatch.setattr(network_footprint, "physical_memory", lambda: 2.0**31)
    file.with_name("wide.toml").write_text(FILE.replace("channels = 6", 'channels = "=width"'))
    changes = {"blocks": 400, "width": 80_000}
    network = snstat.Network.load(file.with_name("wide.toml"), set=changes)
    options = RunSettings(batch=32, trials=2, threads=1)
    assert plan_of(options, network).trials == 2
    words = r"layer body\.0\.ffn\.\S+ alone takes 0\.\d GiB, and the way back \d+\.\d GiB"
    with pytest.raises(InvalidValueError, match=words):
        plan_of(replace(options, backward=True), network)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([L.Dense(4)], "of 1,000,000,000 layers 0.0 is the largest"),
        ([L.Dense(4), L.LayerNorm()], "the network has 1,000,000,000 layers"),
    ],
)
def test_too_many_layers_are_refused_without_going_through_them(parts, words, monkeypatch):
    rows, asked = snstat.Network.rows, []
    monkeypatch.setattr(
        snstat.Network, "rows", lambda self, *numbers: asked.extend(numbers) or rows(self, *numbers)
    )
    with pytest.raises(InvalidValueError, match=words):
        plan_of(RunSettings(trials=1), snstat.Network(4, L.repeat(10**9 // len(parts), *parts)))
    assert sum(map(len, asked)) < 5
