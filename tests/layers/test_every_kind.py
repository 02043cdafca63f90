"""Every kind of layer, asked the same: its options and page, shapes, samples and gradients, theory
against simulation, files, and its PyTorch twin.

The kinds are those of the registry, and the layer of each is in kinds.py: a kind without one fails.
The twins need PyTorch, for `make test-peers`.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import fields
from functools import partial

import numpy as np
import pytest

from snstat.cli import run
from snstat.errors import SnstatError, UnknownNameError
from snstat.layers.container import Container
from snstat.layers.keys import keys_of
from snstat.layers.layer import Layer
from snstat.layers.registry import KINDS, kind
from snstat.layers.shape import Shape
from snstat.network.network import Network
from snstat.values.option import options_of
from tests.layers.kinds import INPUTS, LAYERS, fed, layer_of
from tests.layers.plain_draw import PlainDraw
from tests.layers.plain_theory import OF_ONE_PLACE, ONE_PLACE, compared

BATCH = 6
EVERY = pytest.mark.parametrize("name", KINDS)
GRIDS = [(), (7,), (3, 2)]
# Kinds of which theory knows something; Gaussian units are the least.
KNOWN = [name for name in KINDS if kind(name).moments is not Layer.moments]
COMPARISONS = OF_ONE_PLACE * len(KNOWN)


def test_every_layer_that_is_tested_is_of_a_registered_kind():
    """Kinds without one fail the tests of all kinds."""
    assert LAYERS.keys() | INPUTS.keys() <= KINDS.keys()


@EVERY
def test_a_kind_is_found_by_its_name(name):
    assert type(layer_of(name)) is kind(name)
    assert kind(name).kind == name


@EVERY
def test_all_fields_of_a_kind_are_options(name):
    assert list(options_of(kind(name))) == [entry.name for entry in fields(kind(name))]
    assert all(option.help for option in options_of(kind(name)).values())
    assert "arXiv:" in kind(name).__doc__


@EVERY
def test_a_kind_takes_its_inputs_at_any_position(name):
    count, channels = INPUTS.get(name, 1), 10 if name == "concat" else 5
    for grid in GRIDS:
        assert layer_of(name).shape([Shape(5, grid)] * count) == Shape(channels, grid)
    others, words = ([0, 1], "two layers") if count > 1 else ([0, 2], "one layer")
    for wrong in others:
        with pytest.raises(ValueError, match=words):
            layer_of(name).shape([Shape(5)] * wrong)


@EVERY
def test_theory_knows_the_gradients_of_all_weights(name):
    """The layers of a container are asked themselves."""
    shapes = [Shape(5)] * INPUTS.get(name, 1)
    slopes = layer_of(name).slopes(shapes[0], 0.25, 1.5)
    assert len(slopes) == len(layer_of(name).matrices(shapes))
    assert all(0.0 < slope < math.inf for slope in slopes)


def test_the_nearest_kind_is_suggested():
    with pytest.raises(UnknownNameError, match="did you mean 'dense'"):
        kind("dens")


def test_kinds_are_lazy_and_load_no_numba():
    program = (
        "import sys\nfrom snstat.layers.registry import KINDS, kind\n"
        "early = [n for n in KINDS if f'snstat.layers.{n}' in sys.modules]\n"
        "for name in KINDS: kind(name)\n"
        "sys.exit(bool(early) or 'numba' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert result.returncode == 0


class Recorder(PlainDraw):
    """Remembers the weights of all matrices."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def linear(self, values, weights):
        self.asked.append(weights)
        return super().linear(values, weights)


@pytest.mark.parametrize("name", [n for n in KINDS if not issubclass(kind(n), Container)])
def test_a_layer_names_the_matrices_that_it_draws(name):
    shapes, draw = [Shape(5)] * INPUTS.get(name, 1), Recorder()
    layer_of(name).sample([drawn(shape, n) for n, shape in enumerate(shapes)], draw)
    assert list(layer_of(name).matrices(shapes)) == draw.asked


def drawn(shape, seed):
    """Return values of a batch: not so small that an activation of it has a kink nearby."""
    found = np.random.default_rng(seed).normal(size=(shape.channels, BATCH, *shape.grid))
    return found + 0.1 * np.sign(found)


@pytest.mark.parametrize("grid", [(), (3, 2)])
@EVERY
def test_values_have_the_shape_that_the_layer_says(name, grid):
    shapes = [Shape(5, grid)] * INPUTS.get(name, 1)
    shape = layer_of(name).shape(shapes)
    found = layer_of(name).sample([drawn(s, n) for n, s in enumerate(shapes)], PlainDraw())
    assert found.values.shape == (shape.channels, BATCH, *shape.grid)


@pytest.mark.parametrize("grid", [(), (3, 2)])
@EVERY
def test_gradients_are_pulled_back_by_the_adjoint(name, grid):
    """⟨δ, J v⟩ = ⟨Jᵀ δ, v⟩, with J v by a central difference, whose error is of second order."""
    layer, step = layer_of(name), 1e-4
    inputs = [drawn(Shape(5, grid), n) for n in range(INPUTS.get(name, 1))]
    towards = [np.random.default_rng(9 + n).normal(size=x.shape) for n, x in enumerate(inputs)]
    found = layer.sample(inputs, PlainDraw())
    slope = np.random.default_rng(8).normal(size=found.values.shape)
    ahead, back = (
        layer.sample(
            [x + sign * step * v for x, v in zip(inputs, towards, strict=True)], PlainDraw()
        ).values
        for sign in (1.0, -1.0)
    )
    numeric = float(np.sum(slope * (ahead - back))) / (2.0 * step)
    pulled = sum(
        float(np.sum(part * v)) for part, v in zip(found.pull(slope), towards, strict=True)
    )
    scale = np.linalg.norm(slope) * np.linalg.norm(ahead - back) / (2.0 * step)
    assert pulled == pytest.approx(numeric, abs=20.0 * step**2 * scale)


@pytest.mark.parametrize("name", KNOWN)
def test_theory_is_what_plain_simulations_tend_to(name):
    """Within their error at two widths, and the difference falls as 1/width."""
    compared(partial(fed if name in INPUTS else layer_of, name), ONE_PLACE, (), COMPARISONS)


@EVERY
def test_a_kind_is_written_and_read_back(name, tmp_path):
    network = Network(Shape(5, (3,)), fed(name), name="alone")
    layers = network.form()["layers"]
    assert [layer["kind"] for layer in layers] == [e.layer.kind for e in network.block.entries]
    assert Network.read(json.loads(json.dumps(network.form()))) == network
    network.save(tmp_path / "alone.toml")
    assert Network.load(tmp_path / "alone.toml") == network


@EVERY
def test_the_page_of_a_kind_explains_it(name, capsys):
    """What it computes and what theory knows, the source, and every key with its values."""
    assert run(["layers", name.upper()]) == 0
    page = capsys.readouterr().out
    assert page.startswith(f"# {name}\n")
    text, *keys = re.split(r"^- ", page.partition("\n\nEvery layer may")[0], flags=re.MULTILINE)
    flat, words = (" ".join(own.split()) for own in (text, kind(name).__doc__))
    assert flat.removeprefix(f"# {name} ") == words
    assert "arXiv:" in text
    assert [re.match(r"`(\w+)`: ", key)[1] for key in keys] == list(keys_of(kind(name)))
    for key in keys:
        assert re.search(r"`: .+, (default .+|must be given)\. .+", " ".join(key.split())), key
    assert "--" not in page


def fits(name, grid):
    """Return whether a kind takes a grid. One without a layer in kinds.py fails its tests."""
    try:
        return name not in LAYERS or bool(Network(Shape(5, grid), fed(name)))
    except SnstatError:
        return False


@pytest.mark.peers
def test_every_kind_has_a_twin():
    from tests.peers.kinds import MODULES
    from tests.peers.twin import CONTAINERS

    missing = sorted(KINDS.keys() - MODULES.keys() - CONTAINERS.keys())
    assert not missing, f"add {missing} to MODULES of tests/peers/kinds.py"
    assert (MODULES.keys() | CONTAINERS.keys()) <= KINDS.keys()
    assert {name for name in KINDS for grid in GRIDS if fits(name, grid)} == {*KINDS}


@pytest.mark.peers
@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "grid"), [(name, grid) for name in KINDS for grid in GRIDS if fits(name, grid)]
)
def test_a_kind_equals_its_twin(name, grid, dtype, train):
    from tests.peers.comparison import compare

    compare(Network(Shape(5, grid), fed(name)), dtype, train=train)
