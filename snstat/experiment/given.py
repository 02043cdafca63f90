"""Plans of networks whose weights are given."""

from __future__ import annotations

import glob
import re
from collections import Counter
from dataclasses import replace
from pathlib import PurePath

from snstat.activation import resolve
from snstat.errors import InputFileError, InvalidValueError, name_words, printable
from snstat.experiment.network_plan import NetworkPlan
from snstat.limits import MAX_SCALE
from snstat.network.network import MOST_OF_A_NAME, Network
from snstat.network.run_settings import DENSE, MATRIX_FREE, RunSettings
from snstat.network.settings import NetworkSettings
from snstat.results import GivenWeights
from snstat.sources.weights.chain import ARRAYS, Chain, Link, read_chain
from snstat.values.option import options_of

# The options of a stack that hold beside given weights.
HELD = ("activation", "last")
# The mean square is what theory knows of the weights: any law of independent ones is that of this.
GAUSSIAN = "lecun_normal"
# What layers cannot be called.
RESERVED = ("input", "previous")


def given_plan(chain: Chain, settings: RunSettings) -> NetworkPlan:
    """Return the plan to simulate the network that has the weights of `chain`.

    Raises InvalidValueError for options that describe a stack, but for activations.
    """
    own = RunSettings()
    for name in options_of(NetworkSettings):
        value = getattr(settings, name)
        if name not in HELD and value != getattr(own, name):
            raise InvalidValueError(name, value, "left out beside given weights, which say it")
    plain = replace(settings, **{name: getattr(own, name) for name in HELD})
    return plan_of_chain(_network(chain, settings), chain, plain)


def plan_of_chain(network: Network, chain: Chain, settings: RunSettings) -> NetworkPlan:
    """Return the plan to simulate the weights of `chain`, which `network` has."""
    if settings.sampler == MATRIX_FREE:
        raise InvalidValueError("sampler", MATRIX_FREE, "auto or dense: the weights are given")
    if settings.infinite_width is not None:
        bound = "left out beside given weights, which are as many as they are"
        raise InvalidValueError("infinite_width", settings.infinite_width, bound)
    plan = NetworkPlan.of_settings(network, replace(settings, sampler=DENSE))
    plan = replace(plan, given=chain)
    plan.require_memory()
    return plan


def chain_again(record: GivenWeights) -> Chain:
    """Return the weights of a run.

    Raises InvalidValueError if they are no file, or their content has changed.
    """
    if record.file == ARRAYS:
        raise InvalidValueError("weights", ARRAYS, "those of a file, which can be read again")
    names = [glob.escape(name) for name in record.tensors]
    chain = read_chain(record.file, names, record.layout)
    if chain.record != record:
        bound = "the weights of the run"
        raise InvalidValueError("weights", record.file, bound, "their content has changed")
    return chain


def _network(chain: Chain, settings: RunSettings) -> Network:
    """Return the network of independent weights and biases that have the mean squares of those of
    `chain`, one by one."""
    activation = resolve(settings.activation).name
    last = activation if settings.last is None else resolve(settings.last).name
    layers = [
        {
            "kind": "dense",
            "width": link.units,
            "activation": activation,
            "init": GAUSSIAN,
            "weight_gain": _bounded(chain, link, "gain", link.gain),
            "bias_std": _bounded(chain, link, "bias", link.bias_std),
        }
        for link in chain.links
    ]
    layers[-1]["activation"] = last
    for layer, name in zip(layers, _names(chain), strict=True):
        if name:
            layer["name"] = name
    file = printable(PurePath(chain.record.file).name, MOST_OF_A_NAME)
    inputs = {"channels": chain.links[0].fan_in}
    return Network.read({"name": file, "input": inputs, "layers": layers})


def _bounded(chain: Chain, link: Link, what: str, size: float) -> float:
    """Return the root of a mean square. Raises InputFileError for one that theory cannot square."""
    if size <= MAX_SCALE:
        return size
    reason = f"{what} of {name_words(link.name)} is {size:.3g}, at most {MAX_SCALE:g}"
    raise InputFileError(chain.record.file, reason, "divide it by a number first")


def _names(chain: Chain) -> list[str]:
    """Return the names of the layers, those of their tensors where letters allow it; "" for each
    whose name is not its own."""
    found = [re.sub(r"[^A-Za-z0-9_-]", "_", link.name) for link in chain.links]
    found = [f"_{name}" if name[:1].isdigit() or name in RESERVED else name for name in found]
    count = Counter(found)
    return [name if count[name] == 1 and len(name) <= MOST_OF_A_NAME else "" for name in found]
