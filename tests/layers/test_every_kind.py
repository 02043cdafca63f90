"""Every kind of layer, asked the same: its options and page, shapes, samples and gradients, theory
against simulation, files, and its PyTorch twin.

The kinds are those of the registry, and the layer of each is in kinds.py: a kind without one fails.
The twins need PyTorch, for `make test-peers`.
"""

from __future__ import annotations

import itertools
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
from snstat.errors import InvalidValueError, SnstatError, UnknownNameError
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.activation import Activation
from snstat.layers.block import Block
from snstat.layers.container import Container
from snstat.layers.entry import Entry
from snstat.layers.keys import keys_of
from snstat.layers.law import GAUSSIAN
from snstat.layers.layer import shape_after
from snstat.layers.no_theory import NoTheory
from snstat.layers.registry import KINDS, kind
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from snstat.layers.squares import alone, diagonal
from snstat.network.network import Network
from snstat.theory.walk import walk
from snstat.values.option import options_of
from tests.layers.kinds import (
    AFTER,
    ALL_GRIDS,
    GRIDS,
    INPUTS,
    LAYERS,
    MOST_INPUTS,
    SHARED,
    TOKENS,
    fed,
    grids_of,
    layer_of,
    shape_of,
)
from tests.layers.plain_draw import PlainDraw
from tests.layers.plain_theory import (
    ALIKE,
    OF_ONE_PLACE,
    ONE_PLACE,
    PLACES,
    compared,
    numbers,
)

BATCH = 6
EVERY = pytest.mark.parametrize("name", KINDS)
ON = pytest.mark.parametrize(("name", "grid"), [(n, grid) for n in KINDS for grid in grids_of(n)])
# Tokens do not vary by a little, and have no statistics: see test_embedding.py.
ON_NUMBERS = pytest.mark.parametrize(
    ("name", "grid"), [(n, grid) for n in KINDS if n not in TOKENS for grid in grids_of(n)]
)
# Kinds whose theory needs pairs of positions.
OF_PAIRS = {"mean_pool", "global_mean_pool"}
# Kinds whose theory needs positions that are alike.
OF_TOKENS = {"attention", "dot_product_attention"}
# Kinds of which nothing is known but how small they are at least: see test_renewed.py.
BOUNDED = {"max_pool"}


def gaussian(shape):
    """Return the signal of Gaussian units that are alike at all positions."""
    own = np.eye(shape.positions)
    return Signal(shape, 0.0 * own[0], own, 0.5 * own, GAUSSIAN)


def knows(name):
    """Return whether theory knows the layer of a kind after Gaussian units that are alike."""
    if name not in LAYERS or name in BOUNDED:
        return False
    inputs = [gaussian(Shape(64, grids_of(name)[0])) for _ in range(INPUTS.get(name, 1))]
    return not isinstance(layer_of(name, 64).moments(inputs, 64), NoTheory)


# Kinds of which theory knows something; Gaussian units are the least.
KNOWN = [n for n in KINDS if n not in TOKENS and knows(n)]
AFTER_PLACES = {
    name: AFTER[name](shape_of(name, (2,))).positions for name in AFTER if name in KNOWN
}
COMPARISONS = sum(
    OF_ONE_PLACE if () in grids_of(name) else numbers(2, AFTER_PLACES.get(name, 2))
    for name in KNOWN
)


def test_every_layer_that_is_tested_is_of_a_registered_kind():
    """Kinds without one fail the tests of all kinds."""
    tested = LAYERS, INPUTS, MOST_INPUTS, GRIDS, AFTER
    assert {name for names in tested for name in names} <= KINDS.keys()


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
    count, after = INPUTS.get(name, 1), AFTER.get(name, lambda shape: shape)
    for grid in ALL_GRIDS:
        shapes = [shape_of(name, grid)] * count
        if grid in grids_of(name):
            assert shape_after(layer_of(name), shapes) == after(shapes[0])
        else:
            with pytest.raises(InvalidValueError, match="grid"):
                layer_of(name).shape(shapes)
    other = Shape(5, grids_of(name)[0]) if name in TOKENS else Shape.of_tokens(7, (3,))
    with pytest.raises(SnstatError, match="tokens"):
        fed(name).shape([other])
    more = MOST_INPUTS.get(name, 1) + 1
    others, words = ([0, 1], "(two|three) layers") if count > 1 else ([0, more], "one layer")
    for wrong in others:
        with pytest.raises(ValueError, match=words):
            layer_of(name).shape([Shape(5)] * wrong)


@EVERY
def test_theory_knows_the_gradients_of_all_weights(name):
    """The layers of a container are asked themselves."""
    shapes = [shape_of(name, grids_of(name)[0])] * INPUTS.get(name, 1)
    slopes = layer_of(name).slopes(shapes[0], 0.25, 1.5)
    assert len(slopes) == len(layer_of(name).matrices(shapes))
    if name in SHARED:
        assert all(map(math.isnan, slopes))
    else:
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

    def matrix(self, weights):
        self.asked.append(weights)
        return super().matrix(weights)


@pytest.mark.parametrize("name", [n for n in KINDS if not issubclass(kind(n), Container)])
def test_a_layer_names_the_matrices_that_it_draws(name):
    shapes, draw = [shape_of(name, grids_of(name)[0])] * INPUTS.get(name, 1), Recorder()
    layer_of(name).sample([drawn(shape, n) for n, shape in enumerate(shapes)], draw)
    assert list(layer_of(name).matrices(shapes)) == draw.asked


def drawn(shape, seed):
    """Return values of a batch: not so small that an activation of it has a kink nearby."""
    if shape.tokens:
        return (
            np.random.default_rng(seed).integers(shape.tokens, size=(1, BATCH, *shape.grid)) / 1.0
        )
    found = np.random.default_rng(seed).normal(size=(shape.channels, BATCH, *shape.grid))
    return found + 0.1 * np.sign(found)


@ON
def test_values_have_the_shape_that_the_layer_says(name, grid):
    shapes = [shape_of(name, grid)] * INPUTS.get(name, 1)
    shape = layer_of(name).shape(shapes)
    found = layer_of(name).sample([drawn(s, n) for n, s in enumerate(shapes)], PlainDraw())
    assert found.values.shape == (shape.channels, BATCH, *shape.grid)


@ON_NUMBERS
def test_gradients_are_pulled_back_by_the_adjoint(name, grid):
    """⟨δ, J v⟩ = ⟨Jᵀ δ, v⟩, with J v by a central difference, whose error is of second order."""
    layer, step = layer_of(name), 1e-4
    inputs = [drawn(shape_of(name, grid), n) for n in range(INPUTS.get(name, 1))]
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
    places = (ONE_PLACE, ()) if () in grids_of(name) else (PLACES, (2,))
    if name in OF_TOKENS:
        places = (ALIKE, (2,))
    compared(partial(fed if name in INPUTS else layer_of, name), *places, COMPARISONS)


@ON_NUMBERS
def test_theory_is_walked_on_every_grid(name, grid):
    """In front of an activation, which asks for the law; of one position too."""
    first = Entry(layer_of(name), (0,) * INPUTS.get(name, 1))
    starts = (first,), fed(name).entries
    for own, start in itertools.product({grid, (1,) * len(grid)}, starts):
        try:
            network = Network(shape_of(name, own), Block((*start, Entry(Activation("relu")))))
        except SnstatError:  # a window of two positions
            assert own != grid
            continue
        walked = walk(
            network, BATCH, DrawnInputs("normal", network.input.units, BATCH, 0.0, 1.0).moments()
        )
        assert not np.any(walked.second_moment < 0.0)
        known = np.isfinite(walked.second_moment)
        assert known[0]
        # A mean may be known where E[x²] is not.
        assert np.isfinite(walked.mean[known]).all()


@pytest.mark.parametrize(
    ("name", "grid"), [(n, g) for n in KNOWN for g in grids_of(n) if g and n not in INPUTS]
)
def test_theory_of_positions_by_themselves_is_that_of_pairs(name, grid):
    """Where pairs are not followed, what is known is the same."""
    shape, random = Shape(64, grid), np.random.default_rng(3)
    root = random.normal(size=(2, shape.positions, shape.positions))
    gap, shared = (own @ own.T for own in root)
    pairs = Signal(shape, np.zeros(shape.positions), gap + shared, gap, GAUSSIAN)
    layer = layer_of(name, 64)
    steps = [layer.moments([signal], BATCH) for signal in (pairs, pairs.alone)]
    if isinstance(steps[1], NoTheory):
        assert isinstance(steps[0], NoTheory) or name in OF_PAIRS
        return
    assert name not in OF_PAIRS
    found = []
    for step in steps:
        own = diagonal_matrix(random=np.random.default_rng(4), signal=step.signal)
        (slope,) = step.pull(Slope(own, 0.5 * own))
        assert slope.same.ndim <= step.inputs[0].same.ndim
        scale = math.exp(slope.log)
        parts = step.signal.same, step.signal.gap, scale * slope.same, scale * slope.gap
        found.append([step.signal.mean, *map(diagonal, parts)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def diagonal_matrix(random, signal):
    """Return random slopes that are uncorrelated at different positions."""
    return alone(random.uniform(0.5, 2.0, signal.mean.size), signal.same)


@EVERY
def test_a_kind_is_written_and_read_back(name, tmp_path):
    network = Network(shape_of(name, (3,)), fed(name), name="alone")
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
    said = [re.match(r"`(\w+)`: ", key)[1] for key in keys]
    assert said == [*keys_of(kind(name)), *filter(None, [kind(name).second])]
    for key in keys:
        assert re.search(r"`: .+, (default .+|must be given)\. .+", " ".join(key.split())), key
    assert "--" not in page


def fits(name, grid):
    """Return whether a kind takes a grid. One without a layer in kinds.py fails its tests."""
    try:
        return name not in LAYERS or bool(Network(shape_of(name, grid), fed(name)))
    except SnstatError:
        return False


@pytest.mark.peers
def test_every_kind_has_a_twin():
    from tests.peers.kinds import MODULES
    from tests.peers.twin import CONTAINERS

    missing = sorted(KINDS.keys() - MODULES.keys() - CONTAINERS.keys())
    assert not missing, f"add {missing} to MODULES of tests/peers/kinds.py"
    assert (MODULES.keys() | CONTAINERS.keys()) <= KINDS.keys()
    assert {name for name in KINDS for grid in ALL_GRIDS if fits(name, grid)} == {*KINDS}


@pytest.mark.peers
@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "grid"), [(name, grid) for name in KINDS for grid in ALL_GRIDS if fits(name, grid)]
)
def test_a_kind_equals_its_twin(name, grid, dtype, train):
    from tests.peers.comparison import compare

    compare(Network(shape_of(name, grid), fed(name)), dtype, train=train)
