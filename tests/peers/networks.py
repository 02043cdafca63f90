"""Networks that are compared with their twins: some as files describe them, others at random."""

from __future__ import annotations

import math
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from snstat.errors import SnstatError
from snstat.layers.block import Block
from snstat.layers.entry import Entry
from snstat.layers.registry import KINDS
from snstat.layers.residual_block import Residual
from snstat.layers.shape import Shape
from snstat.network.network import Network
from tests.layers.kinds import INPUTS, layer_of

WIDTH = 12


def _dense(activation: str | None = None, width: int = WIDTH, **keys: Any) -> dict[str, Any]:
    own = {} if activation is None else {"activation": activation}
    return {"kind": "dense", "width": width, "bias_std": 0.3, **own, **keys}


def _block(*layers: dict[str, Any], times: int = 3) -> dict[str, Any]:
    return {"kind": "block", "times": times, "layers": list(layers)}


def _residual(*layers: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"kind": "residual", "layers": list(layers), **keys}


def _network(*layers: dict[str, Any], grid: tuple[int, ...] = ()) -> Network:
    form = {"input": {"channels": WIDTH, "grid": list(grid)}, "layers": list(layers)}
    return Network.read(form)


_DROPOUT = {"kind": "dropout", "rate": 0.1}
_FEED_FORWARD = _dense("gelu", 2 * WIDTH), _DROPOUT, _dense()

NETWORKS = {
    "prenorm": _network(
        _block(_residual({"kind": "layer_norm"}, *_FEED_FORWARD, scale=0.5)),
        {"kind": "rms_norm"},
    ),
    "prenorm on a grid": _network(
        _block(
            _residual({"kind": "group_norm", "groups": 3}, *_FEED_FORWARD),
            {"kind": "channel_dropout", "rate": 0.2},
        ),
        grid=(3, 2),
    ),
    "postnorm": _network(_block(_residual(*_FEED_FORWARD), {"kind": "layer_norm"})),
    "funnel": _network(_dense("relu", 24), _dense("relu", 16), _dense("relu", 8), _dense(None, 3)),
    "orthogonal": _network(
        _dense("tanh", 20, init="orthogonal"), _dense("tanh", 7, init="orthogonal")
    ),
    "dropout": _network(_block(_dense("relu"), {"kind": "dropout", "rate": 0.5})),
    "alpha dropout": _network(_block(_dense("selu"), {"kind": "alpha_dropout", "rate": 0.1})),
    "batch norm": _network(
        _block(_dense(), {"kind": "batch_norm"}, {"kind": "activation", "activation": "relu"})
    ),
    "batch norm on a grid": _network(_block(_dense("silu"), {"kind": "batch_norm"}), grid=(5,)),
    "highway": _network(
        _block({"kind": "highway", "activation": "relu", "bias_std": 0.3, "transfer_bias": 1.0})
    ),
    "nested": _network(
        _block(_dense("tanh"), _block(_dense(), _block(_DROPOUT, _dense("selu"), times=2)), times=2)
    ),
    "decoder": _network(
        _dense("tanh", 8, name="encoded"),
        _dense(None, 6, input="input", name="target"),
        _block(
            _residual({"kind": "layer_norm"}, {"kind": "attention", "heads": 2, "causal": True}),
            _residual(
                {"kind": "layer_norm"}, {"kind": "attention", "heads": 2, "memory": "encoded"}
            ),
            _residual(
                _dense("gelu", 12),
                {"kind": "attention", "heads": 3, "memory": "target", "input": "0"},
                _dense(None, 6),
                shortcut=[
                    {"kind": "attention", "heads": 2, "memory": "encoded"},
                    _dense(None, 6),
                ],
            ),
            times=2,
        ),
        grid=(5,),
    ),
    "forget bias": _network(
        {"kind": "lstm", "width": 5, "forget_bias": 1.0, "bias_std": 0.3},
        {"kind": "lstm", "width": 4, "forget_bias": -2.5, "init": "torch_default"},
        grid=(4,),
    ),
    "concat": _network(
        _dense("tanh", 8, name="left"),
        _dense("gelu", 5, name="right", input="input"),
        {"kind": "concat", "name": "both", "inputs": ["right", "left", "input"]},
        _dense("relu", 8),
        {"kind": "multiply", "name": "gated", "inputs": ["previous", "left"]},
        {"kind": "add", "inputs": ["gated", "left", "left"]},
        {"kind": "scale", "factor": 0.5},
    ),
    "unused": _network(
        _dense("tanh", name="first"),
        _dense("relu"),  # nothing depends on it
        _dense("gelu", input="first"),
    ),
    "shortcut": _network(
        _residual(_dense("relu", 20), _dense(None, 6), shortcut=[_dense(None, 6)]),
        _residual(
            _residual(_dense("tanh", 6), scale=-0.5, skip=1.25),
            _dense(None, 9),
            shortcut=[_residual(_dense("tanh", 6)), _dense(None, 9)],
        ),
    ),
    "normalized": _network(
        _block(_dense("relu", weights="normalized", weight_gain=1.5), times=2),
        _dense(None, 5, weights="normalized", init="he_uniform"),
    ),
    "standardized": _network(
        _block(_dense("selu", weights="standardized"), times=2),
        _dense(None, 5, weights="standardized", init="lecun_truncated", weight_gain=0.7),
    ),
}

_FILES = Path(__file__).parents[2] / "examples" / "networks"
EXAMPLES = {path.stem: path for path in sorted(_FILES.glob("*.toml"))}


def example(name: str) -> Network:
    """Return an example network, small enough that rounding is not amplified: 8 units wide, and 4
    blocks deep where their number is a parameter."""
    declared = tomllib.loads(EXAMPLES[name].read_text("utf-8"))["parameters"]
    small = {"width": 8, "blocks": 4, "depth": 4}
    return Network.load(
        EXAMPLES[name], set={key: size for key, size in small.items() if key in declared}
    )


def tangled(seed: int) -> Network:
    """Return a network in which layers of all kinds start from any layers before them."""
    random = np.random.default_rng(seed)

    def entries(shape: Shape, depth: int) -> tuple[Entry, ...]:
        found, shapes = list[Entry](), [shape]
        while len(found) < 5:
            layer = layer_of(random.choice(sorted(KINDS)))
            count = INPUTS.get(layer.kind, 1)
            inputs = tuple(map(int, random.integers(0, len(shapes), count)))
            try:
                if isinstance(layer, Block | Residual):
                    if depth == 2:
                        continue
                    layer = replace(layer, entries=entries(shapes[inputs[0]], depth + 1))
                after = layer.shape([shapes[n] for n in inputs])
            except SnstatError:
                continue
            found.append(Entry(layer, inputs))
            shapes.append(after)
        return tuple(found)

    grid = ((), (4,), (2, 3))[seed % 3]
    return Network(Shape(5, grid), Block(entries(Shape(5, grid), 0)))


def tolerance(network: Network, dtype: str) -> float:
    """Return how far values of a layer may differ, relative to the largest of them.

    A sum of n products rounds by about √n·eps of its size. As many roundings as there are layers on
    the way forward and back add up, with random signs, and pass layers that about keep the size of
    a signal. Both libraries round, so that the largest of some hundred differences is 4 times that.
    A factor of 2 is for layers that do not keep it.
    """
    terms = max(shape.channels for row in network.rows() for shape in (*row.before, row.after))
    return 8.0 * math.sqrt(2.0 * network.depth * terms) * np.finfo(dtype).eps
