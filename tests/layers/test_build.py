"""Networks that are written in Python."""

from __future__ import annotations

import subprocess
import sys

import pytest

from snstat import Network
from snstat import layers as L  # noqa: N812  # as the documentation spells it
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.layers.registry import KINDS, kind


def test_a_network_in_python_is_that_of_its_file():
    block = L.residual(L.LayerNorm(), L.Dense(8, "gelu"), L.Dense(4), scale=0.5, skip=2)
    built = Network(4, L.chain(L.named("body", L.repeat(3, block)), L.Dense(2)), name="net")
    dense = [{"kind": "dense", "width": 8, "activation": "gelu"}, {"kind": "dense", "width": 4}]
    residual = {"kind": "residual", "layers": [{"kind": "layer_norm"}, *dense], "scale": 0.5}
    residual["skip"] = 2.0
    body = {"kind": "block", "name": "body", "times": 3, "layers": [residual]}
    form = {"name": "net", "input": {"channels": 4}}
    form["layers"] = [body, {"kind": "dense", "width": 2}]
    assert built == Network.read(form)


def test_inputs_are_named():
    built = Network(
        4,
        L.chain(
            L.named("up", L.Dense(4)),
            L.named("side", L.Dense(4), "input"),
            L.named("sum", L.Add(), "up", "previous"),
            L.residual(L.Dense(4), shortcut=[L.Dense(4)]),
        ),
    )
    assert [entry.inputs for entry in built.block.entries] == [(), (0,), (1, 2), ()]
    assert built == Network.read(built.form())


def test_one_layer_is_a_network():
    assert Network(3, L.Dense(2)) == Network.read(
        {"input": {"channels": 3}, "layers": [{"kind": "dense", "width": 2}]}
    )


def test_what_is_wrong_is_told():
    with pytest.raises(UnknownNameError, match="did you mean 'up'"):
        L.chain(L.named("up", L.Dense(2)), L.named("sum", L.Add(), "upp", "input"))
    with pytest.raises(UnknownNameError):
        L.chain(L.named("a", L.Add(), "b", "input"), L.named("b", L.Dense(2)))
    with pytest.raises(InvalidValueError, match="layer 1 is 3, but must be a layer"):
        L.chain(L.Dense(2), 3)
    with pytest.raises(InvalidValueError, match="channels"):
        Network("wide", L.Dense(2))
    with pytest.raises(AttributeError, match="no attribute 'Dens'"):
        L.Dens  # noqa: B018


def test_every_kind_is_there_by_name():
    for name, own in KINDS.items():
        assert getattr(L, own) is kind(name)
        assert own in dir(L)
    code = "import snstat.layers.residual_block, snstat.layers as L; assert callable(L.residual)"
    subprocess.run([sys.executable, "-c", code], check=True)
