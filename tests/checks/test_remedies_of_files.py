"""Remedies of network files: their words are followed in the TOML text, defaults and parameters as
they are written, and the rule then holds."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import snstat
from snstat.checks.network_changes import fewer, layer_changes, repeated
from snstat.checks.network_clauses import Set, tried
from snstat.disk.toml_text import toml_table
from snstat.network.editing import Draft
from snstat.network.network import Network
from tests.checks.following import followed_in

EXAMPLES = sorted((Path(__file__).parents[2] / "examples/networks").glob("*.toml"))
# Values of every origin: a layer's own key, defaults that all or some layers take, parameters
# alone, in arithmetic and in several places.
RICH = """
input = { channels = "=w", std = "=noise", mean = 0.25 }
[parameters]
w = 32
n = 3
g = 0.5
s = 1
p = 0.2
noise = 2
off = 0
[defaults]
dense = { width = "=w", weight_gain = "=g", bias_std = 0.1 }
dropout = { rate = "=p" }
residual = { scale = "=s" }
layer_norm = { epsilon = 0.5 }
[[layers]]
kind = "residual"
when = "=off"
layers = [{ kind = "dense" }]
[[layers]]
kind = "dense"
init = "lecun_normal"
[[layers]]
kind = "block"
name = "body"
times = "=n"
layers = [
  { kind = "residual", name = "a", layers = [
    { kind = "dense", name = "up", width = "=2*w", activation = "relu" },
    { kind = "dropout" },
    { kind = "dropout", rate = 0.5, when = "=off" },
    { kind = "dense", weight_gain = "=2*g" },
  ] },
  { kind = "residual", scale = "=1/sqrt(2*n)", layers = [
    { kind = "dense", weight_std = 0.1 },
  ], shortcut = [
    { kind = "dropout", rate = 0.3 },
  ] },
  { kind = "scale", factor = "=s/2" },
]
[[layers]]
kind = "block"
times = "=n+1"
layers = [{ kind = "dense", activation = "tanh" }, { kind = "scale", factor = 2 }]
[[layers]]
kind = "add"
inputs = ["input", "previous"]
[[layers]]
kind = "dense"
name = "head"
"""


DENSE, DROPPED = "dense in [defaults]", "dropout layer body.1.shortcut.0"


def loaded(path, form, changes=()):
    """Return the network of plain data, through the text of a file."""
    path.write_text(toml_table(form), encoding="utf-8")
    return Network.load(path, set=dict(changes))


@pytest.mark.parametrize("changes", [{}, {"g": 0.75, "w": 16}])
def test_the_words_of_every_change_lead_to_it_in_the_text_of_the_file(tmp_path, changes):
    form = tomllib.loads(RICH)
    path = tmp_path / "net.toml"
    network = loaded(path, form, changes)
    draft = Draft.of(network, network.written)
    found = [
        *layer_changes(draft),
        *(change for name, _ in repeated(draft) if (change := fewer(draft, name, 2))),
        *tried(draft, Set("std", ["input"], 1.0, "2")),
        *tried(draft, Set("std", ["input"], 1.0, "2"), Set("mean", ["input"], 0.0, "0.25")),
    ]
    told = {change.words for change in found}
    assert len(told) == len(found)
    for change in found:
        after, turned, options = followed_in(form, change.words)
        assert not options
        assert loaded(path, after, {**changes, **turned}) == change.network, change.words
    width = network.input.channels
    first, gains = (
        "dense layers body.a.3 and body.1.0",
        '(now left out of some; leave out "weight_std")',
    )
    lists = [
        ["use --set noise=1 (now 2)"],
        ['set "std" of input to 1 (now 2)', 'set "mean" of input to 0 (now 0.25)'],
        ['set "times" of block body to 2 (now 3)'],
        ['set "times" of block 3 to 2 (now 4)'],
        # The parameters are in formulas of other layers too, or others have other values.
        ['set "scale" of residual body.1', "of residual in [defaults] to 0.289 (now 0.4082 to 1)"],
        [f'set "rate" of {DROPPED}', "of dropout in [defaults] to 0.1 (now 0.2 to 0.3)"],
        [f'set "weight_gain" of {first}', f"of {DENSE} to 1 {gains}"],
        [
            'leave out "init" of dense layer 1',
            '"weight_gain" of dense layer body.a.3',
            f"of {DENSE}",
            '"weight_std" of dense layer body.1.0',
        ],
        # The head, which stays as it is, has its width by default too.
        [
            'multiply "width" of dense layer body.a.up',
            '"channels" of input by 2',
            'set "width" of dense layers 1, body.a.3, body.1.0',
            f"3.0 to {2 * width} (now {width} from [defaults])",
        ],
    ]
    assert told >= {" and ".join(parts) for parts in lists}


def test_a_parameter_is_set_only_if_it_changes_nothing_else(tmp_path):
    form = tomllib.loads(
        'input = { channels = "=w" }\n[parameters]\nw = 8\nn = 4\ns = 1.0\n'
        '[[layers]]\nkind = "block"\ntimes = "=n"\nlayers = ['
        '{ kind = "residual", scale = "=s", layers = [{ kind = "dense", width = "=w" }] }]'
    )
    path = tmp_path / "net.toml"

    def words(form):
        network = loaded(path, form)
        draft = Draft.of(network, network.written)
        return {change.words for change in layer_changes(draft)} | {fewer(draft, "0", 3).words}

    # The sum needs an input that is as wide, which the parameter gives it too.
    alone = {"use --set s=0.354 (now 1)", "use --set w=16 (now 8)", "use --set n=3 (now 4)"}
    assert words(form) >= alone
    (block,) = form["layers"]
    block["layers"][0]["scale"] = "=s/sqrt(n)"
    block["layers"].append({"kind": "dense", "width": 8, "bias_std": "=s"})
    found = words(form)
    assert not found & alone
    assert 'set "scale" of residual 0.0 to 0.354 (now 0.5)' in found
    assert 'set "times" of block 0 to 3 (now 4)' in found


def test_a_network_that_is_no_longer_that_of_its_file_has_words_of_its_own(tmp_path):
    network = loaded(tmp_path / "net.toml", tomllib.loads(RICH))
    turned = network.turned("weight_gain", 3.0)
    draft = Draft.of(turned, turned.written)
    assert not draft.written.file
    words = {change.words for change in layer_changes(draft)}
    assert (
        'set "rate" of dropout layers body.a.1 and body.1.shortcut.0 to 0.1 (now 0.2 to 0.3)'
        in words
    )


def file_of(head, times, *layers):
    """Return the text of a file whose one block has these layers."""
    block = f'[[layers]]\nkind = "block"\nname = "b"\ntimes = {times}\n'
    return f"{head}{block}layers = [{', '.join(layers)}]\n"


PLAIN = "input = { channels = 16 }\n"
RELU = '{ kind = "dense", width = 16, activation = "relu" }'
BRANCH = f'layers = [{RELU}, {{ kind = "dense", width = 16 }}]'
SCALED = f'{{ kind = "residual", scale = "=s", {BRANCH} }}'
NORMED = f'{{ kind = "residual", layers = [{{ kind = "layer_norm" }}, {RELU}] }}'
GAIN = '[parameters]\ng = 0.5\n[defaults]\ndense = { weight_gain = "=g" }\n'
STD = 'input = { channels = 16, std = "=s" }\n[parameters]\ns = 100\n'
AWAY = file_of("input = { channels = 16, std = 100, mean = 3 }\n", 6, NORMED)
# A file, what is set, the rule that it breaks, and the remedy.
FILES = {
    "defaults": (
        file_of(PLAIN + GAIN, 12, RELU),
        {},
        "SN101",
        f'leave out "weight_gain" of {DENSE}',
    ),
    "parameter": (
        file_of(f"{PLAIN}[parameters]\ns = 1\nn = 8\n", '"=n"', SCALED),
        {},
        "SN102",
        "use --set s=0.354 (now 1)",
    ),
    "set already": (
        file_of(f"{PLAIN}[parameters]\ns = 0\n", 8, SCALED),
        {"s": 1},
        "SN102",
        "use --set s=0.354 (now 1)",
    ),
    "input": (
        AWAY,
        {},
        "SN402",
        'set "mean" of input to 0 (now 3) and set "std" of input to 1 (now 100)',
    ),
    "input by a parameter": (file_of(STD, 6, NORMED), {}, "SN402", "use --set s=1 (now 100)"),
    "uniform stack": (file_of(STD, 4, RELU), {}, "SN103", "use --set s=1 (now 100)"),
}
BOUNDS = {"uniform stack": {"target_mean": 0.56, "target_variance": 0.68}}


@pytest.mark.parametrize("name", FILES)
def test_a_check_passes_once_its_remedy_is_followed_in_the_file(tmp_path, name):
    text, changes, code, remedy = FILES[name]
    path = tmp_path / "net.toml"
    path.write_text(text, encoding="utf-8")
    options = {"trials": 2, "batch": 4, "select": code} | BOUNDS.get(name, {})
    (broken,) = snstat.check(path, set=changes, **options).findings
    assert broken.remedy == remedy
    form, turned, _ = followed_in(tomllib.loads(text), remedy)
    path.write_text(toml_table(form), encoding="utf-8")
    assert snstat.check(path, set={**changes, **turned}, **options).passed


def test_inputs_that_options_ask_for_are_mended_by_options(tmp_path):
    text, code = AWAY, "SN402"
    path = tmp_path / "net.toml"
    path.write_text(text, encoding="utf-8")
    options = {"trials": 2, "batch": 4, "select": code, "input_std": 50}
    (broken,) = snstat.check(path, **options).findings
    words = 'set "mean" of input to 0 (now 3) and use --input-std 1 (now 50)'
    assert broken.remedy == words
    form, _, turned = followed_in(tomllib.loads(text), words)
    path.write_text(toml_table(form), encoding="utf-8")
    assert snstat.check(path, **options | turned).passed
    # Plain data and networks made in Python have no file that says it.
    network = Network.read(tomllib.loads(text))
    (broken,) = snstat.check(network, trials=2, batch=4, select=code).findings
    assert broken.remedy == "use --input-mean 0 (now 3) and --input-std 1 (now 100)"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_words_of_every_change_of_the_examples_lead_to_it(path):
    network = Network.load(path)
    form, draft = (
        tomllib.loads(path.read_text(encoding="utf-8")),
        Draft.of(network, network.written),
    )
    for change in layer_changes(draft):
        after, turned, _ = followed_in(form, change.words)
        followed = Network.read(after, set=turned, name=network.name)
        assert followed == change.network, change.words
