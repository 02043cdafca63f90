"""The singular values of the Jacobian of a network, as one function."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from snstat.activation import Pair
from snstat.experiment.spectrum_plan import SpectrumPlan, require_use_of
from snstat.experiment.spectrum_settings import Depths, SpectrumSettings
from snstat.network.network import Network
from snstat.network.stack import Stack
from snstat.network.subject import Subject, network_of
from snstat.results import Spectrum
from snstat.values.option import option, taking

_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SpectrumCall(SpectrumSettings):
    """The arguments of `snstat.spectrum`."""

    activation: str | Pair | Network | Stack | os.PathLike[str] = option(  # type: ignore[assignment]  # more than a stack has
        Subject(), "An activation, a network, or the path of its file.", default="selu"
    )
    layers: int | Sequence[int] | None = option(
        Depths(), "Layers at which the Jacobian is taken.", shown="1, 8, 64, ... and the last"
    )
    set: Mapping[str, Any] | None = field(default=None, kw_only=True)
    progress: Callable[[float], None] | None = field(default=None, kw_only=True)

    def plan(self) -> SpectrumPlan:
        """Return the plan that the arguments describe. Raises SnstatError for invalid ones."""
        network = network_of(self.activation, self.set or _NONE)
        settings = {entry.name: getattr(self, entry.name) for entry in fields(SpectrumSettings)}
        if network is not None:
            del settings["activation"]
        layers: Any = self.layers  # validated: a tuple, or None
        plan = SpectrumPlan.of_settings(SpectrumSettings(**settings), network, layers)
        require_use_of(self.batch, [plan])
        return plan


@taking(SpectrumCall)
def spectrum(call: SpectrumCall) -> Spectrum:
    """Return the singular values of the Jacobian of layers by the input, theory beside them.

    The Jacobian of a random network at one random input is exact: unit read-outs are pulled back
    through all layers. Theory is that of infinite width, by free probability: see docs/spectrum.md.
    Where samples depend on each other, as with batch norm in train mode, a batch is drawn, and the
    Jacobian is that of its first sample by its own input, the others fixed. Each read-out then
    takes as long as `batch` of them.

    Parameters
    ----------
    activation : str, pair of functions, Network, Stack or path
        What to sample: see `snstat.propagate`, as for all options that are not listed here.
    layers : int or sequence of int, optional
        Numbers of the layers at which the Jacobian is taken, from 1. Default: 1, 8, 64, ... and the
        last.
    batch : int, optional
        Samples of a trial where they depend on each other. Default: 64, or all samples of a smaller
        file. Elsewhere there is one.
    trials : int
        Independent networks, each with an input of its own. Default: 8.
    near_zero : float
        Singular values of at most this share of the largest count as near zero. Default: 1e-3.
    from_layer : int or str, optional
        The layer by whose output the Jacobian is, by number or name; what goes past that layer does
        not count. Default: the input, or the embedding of tokens.
    method : str
        "exact", "lanczos", or "auto", the default: exact up to 4,096 units in the layer or input.
    steps : int
        Steps of the Lanczos method, from 2 to 256. Default: 24.
    dtype : str or type
        Precision of the network and its gradients. Default: "float64".
    progress : callable, optional
        Called with the number of trials finished.

    Returns
    -------
    Spectrum
        `layers` holds a LayerSpectrum for each, with `singular_values` (trials, values) and
        `theory`, and with `lanczos` where that method found them.

    Raises
    ------
    snstat.errors.SnstatError
        For an argument out of bounds; a batch where no sample depends on others; a batch of one
        where that has no variance; and kinds of layers of your own that mix samples without
        `mixes`.
    """
    return call.plan().run(call.progress)
