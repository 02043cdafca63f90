"""The table of kinds: every kind, asked the same."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import fields

import pytest

from snstat.errors import UnknownNameError
from snstat.layers.registry import KINDS, kind
from snstat.layers.shape import Shape
from snstat.values.option import options_of
from tests.layers.kinds import INPUTS, LAYERS, layer_of


def test_every_layer_that_is_tested_is_of_a_registered_kind():
    """Kinds without one fail the tests of all kinds."""
    assert LAYERS.keys() | INPUTS.keys() <= KINDS.keys()


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_found_by_its_name(name):
    assert type(layer_of(name)) is kind(name)
    assert kind(name).kind == name


@pytest.mark.parametrize("name", KINDS)
def test_all_fields_of_a_kind_are_options(name):
    assert list(options_of(kind(name))) == [entry.name for entry in fields(kind(name))]
    assert all(option.help for option in options_of(kind(name)).values())
    assert "arXiv:" in kind(name).__doc__


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_takes_its_inputs_at_any_position(name):
    count, channels = INPUTS.get(name, 1), 10 if name == "concat" else 5
    for grid in ((), (7,), (3, 2)):
        assert layer_of(name).shape([Shape(5, grid)] * count) == Shape(channels, grid)
    others, words = ([0, 1], "two layers") if count > 1 else ([0, 2], "one layer")
    for wrong in others:
        with pytest.raises(ValueError, match=words):
            layer_of(name).shape([Shape(5)] * wrong)


@pytest.mark.parametrize("name", KINDS)
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
