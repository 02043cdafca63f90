"""Networks as plain data and as TOML: what is written is read back; what is wrong is one line."""

from __future__ import annotations

import json
import math
import time
import tomllib

import pytest
from hypothesis import HealthCheck, given, settings

from snstat.disk.toml_file import MAX_BYTES
from snstat.errors import InputFileError, InvalidValueError, NetworkFormError
from snstat.layers.add import Add
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.keys import keys_of
from snstat.layers.registry import KINDS, kind
from snstat.layers.residual_block import Residual
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.limits import MAX_DEPTH
from snstat.network.input_law import InputLaw
from snstat.network.network import Network
from tests.network.networks import networks
from tests.network.stacks import stacks

DENSE = {"kind": "dense", "width": 4}
FILE = """\
name = "encoder"
input = { channels = "=width", grid = [128], mean = "=1/2" }

[parameters]
blocks = 12
width = 512
function = "gelu"

[defaults]
dense = { init = "lecun_normal", weight_std = 0.5 }

[[layers]]
kind = "block"
times = "=blocks"
layers = [
  { kind = "dense", name = "up", width = "=4*width", activation = "=function" },
  { kind = "Scale", factor = "=1/sqrt(2*blocks)" },
  { kind = "dense", input = "up", width = "=width", weight_gain = "=width/256" },
]

[[layers]]
kind = "scale"
input = "previous"
factor = 2
"""


def encoder(width=512, blocks=12, function="gelu"):
    up = Dense(4 * width, function, init="lecun_normal", weight_std=0.5)
    down = Dense(width, init="lecun_normal", weight_gain=width / 256)
    scale = Scale(1 / math.sqrt(2 * blocks))
    block = Block((Entry(up, (), "up"), Entry(scale), Entry(down, (1,))), blocks)
    whole = Block((Entry(block), Entry(Scale(2.0), (1,))))
    return Network(Shape(width, (128,)), whole, InputLaw(mean=0.5), "encoder")


MANY = {"kind": "block", "times": 10**9, "layers": [DENSE]}


def read(*layers, **root):
    return Network.read({"input": {"channels": 3}, "layers": list(layers)} | root)


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "model.toml"
        path.write_text(text, "utf-8")
        return path

    return write


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(networks())
def test_what_is_written_is_read_back(tmp_path_factory, network):
    form = network.form()
    assert Network.read(form) == network
    assert Network.read(json.loads(json.dumps(form, allow_nan=False))) == network
    path = tmp_path_factory.getbasetemp() / "network.toml"
    network.save(path)
    assert Network.load(path) == network
    assert tomllib.loads(path.read_text("utf-8")) == form


@given(stacks())
def test_stacks_are_written_and_read(stack):
    assert Network.read(Network.of(stack).form()).uniform() == stack


def test_a_file_is_read_with_defaults_parameters_and_arithmetic(written):
    path = written(FILE)
    assert Network.load(path) == encoder()
    assert Network.load(path, set={"width": 256, "function": "tanh"}) == encoder(
        256, function="tanh"
    )
    assert Network.load(written(FILE.replace('name = "encoder"\n', ""))).name == "model"
    assert Network.load(written(FILE.replace('"encoder"', '""'))).name == ""


def test_defaults_are_left_out_and_parameters_resolved():
    form = encoder(256, 2).form()
    assert form["input"] == {"channels": 256, "grid": [128], "mean": 0.5}
    block, scale = form["layers"]
    assert scale == {"kind": "scale", "input": "previous", "factor": 2.0}
    assert list(block) == ["kind", "times", "layers"]
    assert block["layers"][2] == {
        "kind": "dense",
        "input": "up",
        "width": 256,
        "init": "lecun_normal",
        "weight_gain": 1.0,
    }


def switched(chosen):
    """A network with two layers that are left out unless `chosen`."""
    return Network.read(
        {
            "input": {"channels": 4},
            "parameters": {"chosen": chosen},
            "layers": [
                DENSE | {"name": "first"},
                DENSE | {"name": "second"},
                {"kind": "scale", "name": "norm", "input": "first", "when": "=chosen"},
                DENSE,
                {
                    "kind": "residual",
                    "shortcut": [{"kind": "scale", "factor": 0, "when": "=chosen"}],
                    "layers": [{"kind": "scale", "when": "=chosen"}, DENSE],
                },
                {"kind": "add", "inputs": ["norm", "previous"]},
            ],
        }
    )


@pytest.mark.parametrize("chosen", [True, False, 1, 0])
def test_a_layer_that_is_left_out_passes_on_what_it_starts_from(chosen):
    first, second = Entry(Dense(4), (), "first"), Entry(Dense(4), (), "second")
    if chosen:
        branch = (Entry(Scale(1.0)), Entry(Dense(4)))
        residual = Residual(branch, shortcut=(Entry(Scale(0.0)),))
        norm = Entry(Scale(1.0), (1,), "norm")
        entries = first, second, norm, Entry(Dense(4)), Entry(residual), Entry(Add(), (3, 5))
    else:
        # What is read is the layer before: the dense layer starts from `first`, not `second`.
        residual = Residual((Entry(Dense(4)),))
        entries = first, second, Entry(Dense(4), (1,)), Entry(residual), Entry(Add(), (1, 4))
    network = switched(chosen)
    assert network.block == Block(entries)
    assert Network.read(network.form()) == network


@pytest.mark.parametrize("kind", ["block", "residual"])
def test_a_layer_that_is_left_out_reads_nothing_outside(kind):
    cross = {"kind": "attention", "heads": 2, "memory": "encoded", "when": 0}
    held = [{"kind": kind, "layers": own} for own in ([DENSE, cross], [DENSE])]
    found, expected = (
        Network.read(
            {
                "input": {"channels": 4, "grid": [3]},
                "layers": [DENSE | {"name": "encoded"}, DENSE, own],
            }
        )
        for own in held
    )
    assert found == expected


def test_a_layer_that_is_left_out_may_hold_layers_that_read_outside():
    cross = {"kind": "attention", "heads": 2, "memory": "encoded"}
    block = {"kind": "block", "layers": [cross], "when": False}
    form = {"input": {"channels": 4, "grid": [3]}, "layers": [DENSE | {"name": "encoded"}, block]}
    assert Network.read(form).block == Block((Entry(Dense(4), (), "encoded"),))


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([DENSE | {"when": 2}], "layers.0.dense: when is 2, but must be 0 or false"),
        ([DENSE | {"when": 0.0}], "when is 0.0, but must be 0"),
        ([DENSE | {"when": "=on"}], "unknown parameter 'on'"),
        ([DENSE | {"when": 0, "width": 0}], "width is 0"),
        ([DENSE | {"when": 0}], "must be one layer or more"),
        (
            [DENSE, DENSE, {"kind": "add", "inputs": ["0", "1"], "when": 0}],
            "layers.2.add: when is 0, but must be 1 for a layer of several inputs",
        ),
        ([DENSE, DENSE, DENSE | {"input": "0", "when": 0}], "the last layer is left out"),
    ],
)
def test_layers_that_cannot_be_left_out_are_refused(layers, words):
    with pytest.raises(NetworkFormError, match=words):
        read(*layers)


@pytest.mark.parametrize("name", ["a.json", "a.yaml", "a", "a.toml.txt"])
def test_networks_are_saved_as_toml_alone(tmp_path, name):
    """Of a .json file, commands would take it for a saved run."""
    words = "path is .*, but must be a file whose name ends in .toml"
    with pytest.raises(InvalidValueError, match=words) as caught:
        encoder().save(tmp_path / name)
    assert ("network.form()" in str(caught.value)) == (name == "a.json")
    assert not any(tmp_path.iterdir())
    encoder().save(tmp_path / "A.TOML")
    assert Network.load(tmp_path / "A.TOML") == encoder()


def test_saved_files_are_for_people(tmp_path):
    encoder().save(tmp_path / "a.toml")
    assert (tmp_path / "a.toml").read_text("utf-8").splitlines()[:8] == [
        'name = "encoder"',
        "input = { channels = 512, grid = [128], mean = 0.5 }",
        "",
        "[[layers]]",
        'kind = "block"',
        "times = 12",
        "layers = [",
        (
            '  { kind = "dense", name = "up", width = 2048, init = "lecun_normal",'
            ' weight_std = 0.5, activation = "gelu" },'
        ),
    ]


def test_a_block_of_the_whole_network_may_repeat():
    assert read(DENSE, times=3).block == Block((Entry(Dense(4)),), 3)
    assert read(DENSE, times="=n", parameters={"n": 3}).depth == 3


def test_where_layers_start_from():
    named = read(DENSE | {"name": "a"}, DENSE | {"input": "input"}, DENSE | {"input": "a"})
    assert [entry.inputs for entry in named.block.entries] == [(), (0,), (1,)]
    numbered = read(DENSE, DENSE | {"input": "0"}, DENSE | {"input": "previous"})
    assert [entry.inputs for entry in numbered.block.entries] == [(), (1,), (2,)]
    assert read(DENSE, DENSE | {"inputs": ["0"]}).block == read(DENSE, DENSE | {"input": "0"}).block


@pytest.mark.parametrize("name", KINDS)
def test_what_must_be_given_is_asked_for(name):
    needed = [key for key, own in keys_of(kind(name)).items() if own.required]
    if needed:
        with pytest.raises(NetworkFormError, match=rf"layers\.0\.{name}: no {needed[0]}, "):
            read({"kind": name})


@pytest.mark.parametrize(
    ("layer", "path", "words"),
    [
        ({"kind": "dens"}, "layers.1", "unknown kind 'dens': did you mean 'dense'?"),
        ({"kind": "xyzzy"}, "layers.1", "kind is 'xyzzy', but must be one of activation, "),
        ({"kind": 3}, "layers.1", "kind is 3, but must be one of"),
        ({"width": 3}, "layers.1", "no kind"),
        ("dense", "layers.1", "'dense' is no table"),
        (DENSE | {"widht": 3}, "layers.1.dense", "unknown key 'widht': did you mean 'width'?"),
        (DENSE | {"weight-gain": 3}, "layers.1.dense", "did you mean 'weight_gain'?"),
        (DENSE | {"qqq": 3}, "layers.1.dense", "unknown key 'qqq': it may be activation, "),
        (DENSE | {"width": 0}, "layers.1.dense", "width is 0, but must be a whole number from 1"),
        (DENSE | {"width": "4"}, "layers.1.dense", "width is '4', but must be a whole number"),
        (DENSE | {"width": True}, "layers.1.dense", "width is True"),
        (DENSE | {"width": 2**70}, "layers.1.dense", "at most 64 bits"),
        (DENSE | {"width": "=n/2"}, "layers.1.dense", "it is the result of '=n/2'"),
        (DENSE | {"width": "=k"}, "layers.1.dense", "parameter is 'k', but must be one of n"),
        (DENSE | {"width": "=nn"}, "layers.1.dense", "unknown parameter 'nn': did you mean 'n'?"),
        (DENSE | {"width": "=n**9**9"}, "layers.1.dense", "too large"),
        (DENSE | {"width": [[[[[[4]]]]]]}, "layers.1.dense", "nested at most 4"),
        (DENSE | {"bias_std": float("nan")}, "layers.1.dense", "bias_std is nan"),
        (DENSE | {"activation": "rleu"}, "layers.1.dense", "unknown activation 'rleu': did you"),
        (DENSE | {"activation": None}, "layers.1.dense", "activation is None"),
        (DENSE | {"weight_gain": 1, "weight_std": 1}, "layers.1.dense", "weight_std is 1.0"),
        (DENSE | {"input": "alhpa"}, "layers.1.dense", "unknown input 'alhpa': did you mean"),
        (DENSE | {"input": "1"}, "layers.1.dense", "input is '1', but must be a layer before it"),
        (DENSE | {"input": "bravo"}, "layers.1.dense", "by name or number, input or previous"),
        (DENSE | {"input": 0}, "layers.1.dense", "input is 0"),
        (DENSE | {"inputs": "alpha"}, "layers.1.dense", "but must be a list of names"),
        (DENSE | {"inputs": []}, "layers.1.dense", "but must be a list of names"),
        (DENSE | {"inputs": [["a"]]}, "layers.1.dense", "inputs is ['a']"),
        (DENSE | {"input": "alpha", "inputs": []}, "layers.1.dense", "left out if input is given"),
        (DENSE | {"name": "alpha"}, "layers.1.dense", "of one layer of its container only"),
        (DENSE | {"name": "previous"}, "layers.1.dense", "another word"),
        (DENSE | {"name": "a.b"}, "layers.1.dense", "name is 'a.b', but must be a letter"),
        (DENSE | {"name": "7"}, "layers.1.dense", "but must be a letter"),
        (DENSE | {"name": ""}, "layers.1.dense", "name is ''"),
        (DENSE | {"name": 7}, "layers.1.dense", "name is 7, but must be text"),
        (DENSE | {"width": 4.5}, "layers.1.dense", "width is 4.5, but must be a whole number"),
        (DENSE | {"width": 1e300}, "layers.1.dense", "width is 1e+300, but must be a whole number"),
        (DENSE | {"bias_std": "2/n"}, "layers.1.dense", 'begins with =: write "=2/n"'),
        (DENSE | {"width": "2*n"}, "layers.1.dense", 'begins with =: write "=2*n"'),
        (DENSE | {"width": "2/3"}, "layers.1.dense", "a whole number of at most 64 bits\n"),
        (DENSE | {"bias_std": "two"}, "layers.1.dense", "is 'two', but must be a finite number\n"),
        (DENSE | {"bias_std": math.nan}, "layers.1.dense", "is nan, but must be a finite number\n"),
        (MANY | {"layers": [MANY]}, "layers.1.block", "layers is 1000000000000000000, but must be"),
        ({"kind": "block", "layers": []}, "layers.1.block.layers", "[] is no list of layers"),
        ({"kind": "block", "layers": {}}, "layers.1.block.layers", "{} is no list of layers"),
        ({"kind": "block", "layers": [DENSE, DENSE | {"width": -1}]},
         "layers.1.block.layers.1.dense", "width is -1"),
    ],
)  # fmt: skip
def test_errors_in_layers_have_their_path(layer, path, words):
    with pytest.raises(NetworkFormError) as caught:
        read(DENSE | {"name": "alpha"}, layer, parameters={"n": 3})
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")
    assert words in f"{caught.value}\n"
    assert len(str(caught.value).splitlines()) == 1


def test_floats_without_a_fraction_are_whole_numbers():
    """As on the command line."""
    inner = {"kind": "block", "times": "=n", "layers": [DENSE | {"width": 8e0}]}
    conv = {"kind": "conv", "channels": 2.0, "kernel": [3.0]}
    form = {"input": {"channels": 8.0, "grid": [1e1]}, "parameters": {"n": 1e1}}
    found = Network.read(form | {"layers": [conv, inner]})
    form = {"input": {"channels": 8, "grid": [10]}, "parameters": {"n": 10}}
    conv, inner["layers"] = conv | {"channels": 2, "kernel": [3]}, [DENSE | {"width": 8}]
    assert found == Network.read(form | {"layers": [conv, inner]})
    assert found.form()["layers"][1]["times"] == 10


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ({"input": 3}, "input: 3 is no table of keys"),
        ({"input": {}}, "input: no channels; write input = { channels = 512 }"),
        ({"input": {"channels": 0}}, "input: channels is 0"),
        ({"input": {"channels": "=n"}}, "input: unknown parameter 'n': there is none"),
        ({"input": {"channels": 3, "gird": []}}, "input: unknown key 'gird': did you mean 'grid'?"),
        ({"input": {"channels": 3, "grid": 3}}, "input: grid is 3, but must be a list"),
        ({"input": {"channels": 3, "grid": [1, 2, 3]}}, "input: grid is (1, 2, 3)"),
        ({"input": {"channels": 3, "grid": [2.5]}}, "input: grid is 2.5"),
        ({"input": {"channels": 2**28, "grid": [2]}}, "input: shape is"),
        ({"input": {"channels": 3, "kind": "norml"}}, "input: unknown kind 'norml': did you"),
        ({"input": {"channels": 3, "std": -1}}, "input: std is -1"),
        ({"parameters": {"a b": 1}}, "parameters: name of a parameter is 'a b'"),
        ({"parameters": {"lambda": 1}}, "parameters: name of a parameter is 'lambda'"),
        ({"parameters": {"a": [1]}}, "parameters: a is [1]"),
        ({"parameters": {"a": "=2"}}, "parameters: a is '=2'"),
        ({"parameters": {"a": 2**65}}, "parameters: a is"),
        ({"parameters": {"a": float("inf")}}, "parameters: a is inf"),
        ({"defaults": {"dnse": {}}}, "defaults: unknown kind 'dnse': did you mean 'dense'?"),
        ({"defaults": {"dense": {"widht": 1}}}, "defaults.dense: unknown key 'widht'"),
        ({"defaults": {"dense": {"width": 0}}}, "defaults.dense: width is 0"),
        ({"defaults": {"scale": {"factor": "=x"}}}, "defaults.scale: unknown parameter 'x'"),
        ({"defaults": {"block": {"layers": []}}}, "defaults.block: unknown key 'layers'"),
        ({"defaults": {"dense": {"name": "a"}}}, "defaults.dense: unknown key 'name'"),
        ({"defaults": []}, "defaults: [] is no table"),
        ({"name": 3}, "name is 3, but must be text"),
        ({"name": "a\0"}, "name is 'a\\x00'"),
        ({"layer": []}, "unknown key 'layer': did you mean 'layers'?"),
        ({"layers": []}, "layers: [] is no list of layers"),
        ({"times": 0}, "times is 0"),
        ({"layers": [DENSE] * 100_001}, "layers: more than 100,000 layers are written"),
    ],
)
def test_errors_at_the_root(root, words):
    with pytest.raises(NetworkFormError) as caught:
        read(DENSE, **root)
    assert str(caught.value).startswith(words)


def test_what_is_missing():
    with pytest.raises(NetworkFormError, match="input: no channels"):
        Network.read({"layers": [DENSE]})
    with pytest.raises(NetworkFormError, match=r"^no layers, which every network has"):
        Network.read({"input": {"channels": 3}})
    with pytest.raises(NetworkFormError, match="is no table"):
        Network.read([])


def test_parameters_that_are_set():
    form = {"input": {"channels": 3}, "parameters": {"width": 4, "act": "relu", "x": 0.5}}
    form |= {"layers": [{"kind": "dense", "width": "=width", "activation": "=act"}]}
    assert Network.read(form, set={"width": 7}).block.entries[0].layer == Dense(7, "relu")
    for changes, words in (
        ({"widht": 1}, r"unknown parameter 'widht': did you mean 'width'"),
        ({"width": "relu"}, r"width is 'relu', but must be a number"),
        ({"act": 1}, r"act is 1, but must be text"),
        ({"x": float("nan")}, r"x is nan"),
    ):
        with pytest.raises(NetworkFormError, match=words):
            Network.read(form, set=changes)


def test_defaults_give_way_to_what_excludes_them():
    own = DENSE | {"weight_gain": 2.0}
    found = read(own, DENSE, defaults={"dense": {"weight_std": 1.0}})
    assert [entry.layer for entry in found.block.entries] == [
        Dense(4, weight_gain=2.0),
        Dense(4, weight_std=1.0),
    ]


def test_a_container_may_hold_several_lists_of_layers(tmp_path):
    inner = Block((Entry(Residual((Entry(Dense(3), (), "a"), Entry(Dense(3), (1,))))),), 3)
    shortcut = Entry(inner), Entry(Scale(3.0), (0,), "b")
    layer = Residual((Entry(Scale(2.0)),), shortcut=shortcut)
    network = Network(Shape(3), Block((Entry(layer, (), "c"), Entry(layer, (1,)))))
    form = network.form()
    assert list(form["layers"][0]) == ["kind", "name", "layers", "shortcut"]
    assert Network.read(form) == network
    network.save(tmp_path / "a.toml")
    assert Network.load(tmp_path / "a.toml", set={}).block == network.block
    form["layers"][1]["shortcut"][0]["layers"][0]["layers"][1]["width"] = 0
    with pytest.raises(NetworkFormError) as caught:
        Network.read(form)
    path = "layers.1.residual.shortcut.0.block.layers.0.residual.layers.1.dense"
    assert caught.value.path == path


def nested(times):
    form = DENSE
    for _ in range(times):
        form = {"kind": "block", "layers": [form]}
    return form


def test_limits_are_those_of_the_contract(tmp_path):
    # The network itself is the first container.
    deepest = read(nested(63))
    assert Network.read(deepest.form()) == deepest
    with pytest.raises(NetworkFormError, match="nested deeper than 64"):
        read(nested(64))
    deeper = Network(Shape(3), Block((Entry(deepest.block),)))
    with pytest.raises(InvalidValueError, match="at most 64"):
        deeper.form()
    many = Network(Shape(3), Block((Entry(Dense(4)),) * 100_001))
    with pytest.raises(InvalidValueError, match="at most 100,000"):
        many.form()
    with pytest.raises(InvalidValueError, match="bytes"):
        Network(Shape(3), Block((Entry(Dense(4, "gelu")),) * 50_000)).save(tmp_path / "a.toml")
    assert not list(tmp_path.iterdir())
    assert read(DENSE, times=MAX_DEPTH).depth == MAX_DEPTH
    with pytest.raises(InvalidValueError, match="1,000,000,000"):
        read(DENSE, DENSE, times=MAX_DEPTH)


def test_a_form_that_holds_itself_is_refused_soon():
    layers = []
    layers += [{"kind": "block", "layers": layers}] * 2
    began = time.perf_counter()
    with pytest.raises(NetworkFormError, match="nested deeper"):
        read(*layers)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FILE.replace("widt", "wdt", 1), "model.toml: input: unknown parameter 'wdth': did you"),
        (FILE.replace("factor = 2", "facto = 2"), "layers.1.scale: unknown key 'facto'"),
        (FILE.replace('"up"', '"Up"', 1), "layers.0.block.layers.2.dense: unknown input 'up'"),
        (
            FILE.replace('input = "previous"', 'inputs = ["0", "input"]'),
            "layers.1.scale: inputs is 2",
        ),
        ("x = [", "is not valid TOML"),
        ("a = " + "[" * 9999 + "]" * 9999, "nested too deeply"),
        ("#" * (MAX_BYTES + 1), "more than 1,048,576 bytes; a network file is short"),
        ("", "input: no channels"),
    ],
)
def test_errors_of_a_file_name_it_in_one_line(written, text, words):
    with pytest.raises(InputFileError) as caught:
        Network.load(written(text))
    assert words in str(caught.value)
    assert "model.toml: " in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_kind_has_defaults_once():
    defaults = {"dense": {"weight_gain": 2}, "Dense": {"bias_std": 0.3}}
    form = {"input": {"channels": 3}, "layers": [DENSE], "defaults": defaults}
    with pytest.raises(NetworkFormError, match=r"defaults\.dense: is given twice, as 'Dense' too"):
        Network.read(form)


def test_a_parameter_stays_a_flag_a_number_or_a_text():
    form = {"input": {"channels": 3}, "layers": [DENSE], "parameters": {"flag": True, "size": 3}}
    Network.read(form, set={"flag": False})
    with pytest.raises(NetworkFormError, match="flag is 3, but must be true or false"):
        Network.read(form, set={"flag": 3})
    with pytest.raises(NetworkFormError, match="size is True, but must be a number"):
        Network.read(form, set={"size": True})
