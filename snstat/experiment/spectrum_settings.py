"""The options of `snstat spectrum`: the network, its input, and how it is sampled."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from snstat.errors import InvalidValueError
from snstat.limits import MAX_BATCH, MAX_DEPTH
from snstat.network.run_settings import DTYPES, Dtype, RunSettings
from snstat.network.settings import NetworkSettings
from snstat.values import integer
from snstat.values.kinds import Kind, Name, Real, Whole, require_printable
from snstat.values.option import again, option, single

# Of float32, smaller singular values are rounding.
LEAST_NEAR_ZERO = 1e-12
# Layers at which a Jacobian is taken, and the factor between those that are taken by default.
MOST_LAYERS, FACTOR = 64, 8
AUTO, EXACT, LANCZOS = METHODS = ("auto", "exact", "lanczos")
# Steps whose small matrices are decomposed in seconds. Their products are no more than the units of
# which all singular values can be found.
MOST_STEPS = 256


class Depths(Kind):
    """Numbers of layers, from 1: 8, or [1, 8, 64]."""

    name = "layers"
    words = "a number of a layer, or a list of them"

    def check(self, name: str, value: Any) -> tuple[int, ...]:
        """Return the numbers, ascending, each once. See Kind."""
        several = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        found = {integer(name, entry, 1, MAX_DEPTH) for entry in several}
        if not 0 < len(found) <= MOST_LAYERS:
            raise InvalidValueError(name, value, f"1 to {MOST_LAYERS} numbers of layers")
        return tuple(sorted(found))


class OneLayer(Kind):
    """The number of a layer, 0 for the input, or its name."""

    name = "layer"
    words = "a number or a name of a layer"

    def check(self, name: str, value: Any) -> int | str:
        """See Kind."""
        if isinstance(value, str) and value:
            require_printable(name, value)
            return value
        return integer(name, value, 0, MAX_DEPTH)

    def read(self, name: str, text: str) -> int | str:
        """See Kind."""
        return self.check(name, int(text) if re.fullmatch("[0-9]{1,18}", text) else text)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumSettings(NetworkSettings):
    """The options of `snstat spectrum`, each as that of a run, but for what comes last."""

    batch: int | None = option(
        Whole(1, MAX_BATCH),
        "Samples per trial where they depend on each other, as with batch norm: the Jacobian is of"
        " one of them by itself, the others fixed.",
        shown="64, or all samples of a smaller file; elsewhere 1",
        short="b",
        metavar="N",
    )
    trials: int = again(RunSettings, "trials")
    seed: int = again(RunSettings, "seed")
    inputs: Any = again(RunSettings, "inputs")
    input_mean: float | None = again(RunSettings, "input_mean")
    input_std: float | None = again(RunSettings, "input_std")
    standardize: bool = again(RunSettings, "standardize")
    flatten: bool = again(RunSettings, "flatten")
    train: bool = again(RunSettings, "train")
    threads: int | None = again(RunSettings, "threads")
    dtype: str = option(
        Dtype(DTYPES),
        "Precision of the network and its gradients. In float32, singular values below 1e-6 of the"
        " largest are rounding.",
        default="float64",
    )
    near_zero: float = option(
        Real(LEAST_NEAR_ZERO, 1.0),
        "Singular values of at most this share of the largest are near zero.",
        default=1e-3,
        metavar="SHARE",
    )
    from_layer: int | str | None = single(
        OneLayer(),
        "The Jacobian is that by the output of this layer: a number, or in a network file a name.",
        shown="the input; of tokens, their embedding",
        metavar="LAYER",
    )
    method: str = option(
        Name(METHODS),
        "exact: all singular values, of up to 4,096 units. lanczos: the largest, and estimates of"
        " averages over all, of more units than 16 for each of the steps, and exact of fewer. auto:"
        " exact where that is possible.",
        default=AUTO,
    )
    steps: int = option(
        Whole(2, MOST_STEPS),
        "Steps of the Lanczos method, each with products from both sides.",
        default=24,
        metavar="N",
    )


def usual_depths(depth: int) -> tuple[int, ...]:
    """Return layers 1, 8, 64, ... and the last."""
    found, layer = {depth}, 1
    while layer < depth:
        found.add(layer)
        layer *= FACTOR
    return tuple(sorted(found))
