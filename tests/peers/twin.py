"""The PyTorch twin of a network: a module with the weights, biases and masks of one trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from snstat.engine.general.draw import LayerDraw, Workshop
from snstat.layers.draw import Values
from snstat.layers.entry import Entry
from snstat.layers.layer import Layer
from snstat.layers.shape import Shape
from snstat.network.network import Network
from tests.peers import modules
from tests.peers.kinds import Part, module_of
from tests.peers.recorder import Recorder


def twin_of(
    network: Network, batch: int, *, trial: int, seed: int, dtype: str, train: bool = True
) -> Twin:
    """Return the twin of `network`, with what the general sampler draws for `batch` samples of a
    trial."""
    shop = Workshop(np.dtype(dtype), np.uint64(seed), np.zeros(1, np.uint8), train=train)
    maker = Maker(batch, shop, trial)
    body = maker.module(network.block, [network.input])
    return Twin(body, maker.rows).to(getattr(torch, dtype)).train(train)


class Twin(nn.Module):
    """A network in PyTorch: (batch, channels, *grid) in and out."""

    def __init__(self, body: nn.Module, rows: Sequence[nn.Module]) -> None:
        super().__init__()
        self.body, self._found = body, list[torch.Tensor]()
        for row in rows:
            row.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        """Keep the output of a layer. Where that is its input, as of dropout in eval mode, it
        becomes another tensor, which has a gradient of its own."""
        del module, inputs
        self._found.append(output.view_as(output))
        return self._found[-1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output of the last layer."""
        return self.body(x)

    def layers(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the input and the outputs of all layers, in their order."""
        self._found = [x]
        self(x)
        return self._found


@dataclass
class Maker:
    """What is known while modules are made: those of the layers so far, in their order."""

    batch: int
    shop: Workshop
    trial: int
    recorder: type[Recorder] = Recorder
    rows: list[nn.Module] = field(default_factory=list)

    def module(self, layer: Layer, shapes: Sequence[Shape]) -> nn.Module:
        """Return the module of a layer, or of a container."""
        if layer.kind in CONTAINERS:
            return CONTAINERS[layer.kind](self, layer, *shapes)
        drawn = self.recorder(partial(LayerDraw, self.shop, self.trial, len(self.rows) + 1))
        ones = [np.ones((s.channels, self.batch, *s.grid), self.shop.dtype) for s in shapes]
        layer.sample(ones, drawn)
        return self.row(module_of(Part(layer, shapes, drawn)))

    def row(self, module: nn.Module) -> nn.Module:
        """Return a module that is the next layer of the network."""
        self.rows.append(module)
        return module

    def chain(self, entries: Sequence[Entry], times: int, shape: Shape, *outer: Shape) -> nn.Module:
        """Return the modules of a container, `times` over."""
        turns = []
        for _ in range(times):
            shapes, parts, sources = [shape], [], []
            for place, entry in enumerate(entries):
                own = entry.inputs or (place,)
                before = [shapes[n] if n >= 0 else outer[-1 - n] for n in own]
                parts.append(self.module(entry.layer, before))
                sources.append(own)
                shapes.append(entry.layer.shape(before))
            turns.append(modules.Chain(parts, sources))
            shape = shapes[-1]
        return modules.Turns(turns)


def _block(maker: Maker, layer: Any, *shapes: Shape) -> nn.Module:
    return maker.chain(layer.entries, layer.repetitions, *shapes)


def _residual(maker: Maker, layer: Any, *shapes: Shape) -> nn.Module:
    branch = maker.chain(layer.entries, 1, *shapes)
    shortcut = maker.chain(layer.shortcut, 1, *shapes) if layer.shortcut else None
    total = maker.row(modules.Called(lambda x, y: layer.skip * x + layer.scale * y))
    return modules.Residual(branch, shortcut, total)


# What is made of a kind that contains layers.
CONTAINERS: Mapping[str, Callable[..., nn.Module]] = {
    "block": _block,
    "residual": _residual,
}


def tensor(values: Values) -> torch.Tensor:
    """Return the values of a layer, (channels, batch, *grid), as PyTorch has them."""
    return torch.from_numpy(values.swapaxes(0, 1).copy())


def array(values: torch.Tensor) -> Values:
    """Return a tensor (batch, channels, *grid) as snstat has the values of a layer."""
    return values.detach().numpy().swapaxes(0, 1)
