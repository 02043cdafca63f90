"""One benchmark for each row of the table, run by `make bench`. No time is asserted.

pytest-benchmark times snstat; peers and floor take their turns in the set-up of every round.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

import pytest

import snstat
from snstat.engine.simulate import available_cores, simulate
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from tests.benchmarks import cases, peers_numpy, processes
from tests.benchmarks.floor import Floor
from tests.benchmarks.side_by_side import measure, timed

pytestmark = pytest.mark.bench

PEERS = {"numpy": peers_numpy}
if find_spec("torch"):
    from tests.benchmarks import peers_torch

    PEERS["torch"] = peers_torch


def of_snstat(network, depth):
    """Return the call that a user of snstat makes."""
    if network.runs == "propagate":
        return partial(
            snstat.propagate,
            depth=depth,
            width=network.width,
            batch=network.batch,
            trials=network.trials,
        )
    return partial(
        simulate,
        Stack.build(depth=depth, width=network.width),
        DrawnInputs("normal", network.width, network.batch, 0.0, 1.0),
        trials=network.trials,
        seed=0,
        dtype="float32",
        sampler=network.sampler,
        backward=network.runs == "backward",
    )


def of_peer(module, network, layers):
    """Return a function that times a peer on the same network, scaled to all layers."""
    share = layers / (network.depth * network.trials)
    if network.runs == "backward":
        return timed(module.backward(network.width, network.batch, layers), share)
    return timed(partial(module.forward(network.width, network.batch), layers), share)


def of_floor(network):
    cores = available_cores()
    floor = Floor(network.width, network.batch, cores, lanes=min(network.trials, cores))
    layers = network.depth * network.trials * (2 if network.runs == "backward" else 1)
    return lambda: layers * floor.layer()


@pytest.mark.parametrize("network", cases.NETWORKS, ids=lambda network: network.name)
def test_network(benchmark, network):
    others = {
        name: of_peer(PEERS[name], network, layers)
        for name, (layers, _) in network.peers.items()
        if name in PEERS
    }
    if network.sampler == "matrix-free":
        others["floor"] = of_floor(network)
    benchmark.extra_info["network"] = network.name
    # A short run loads the kernels and everything else that is loaded once.
    of_snstat(network, 2)()
    measure(benchmark, of_snstat(network, network.depth), others, network.rounds)


@pytest.mark.parametrize("process", cases.PROCESSES, ids=lambda process: process.name)
def test_process(benchmark, process):
    for program in (process.beside, process.program):
        processes.call(program)
    benchmark.extra_info["process"] = process.name
    others = {"beside": timed(partial(processes.call, process.beside))}
    measure(benchmark, partial(processes.call, process.program), others, process.rounds)


def test_first_compile(benchmark):
    benchmark.pedantic(processes.compile_kernels, rounds=cases.COMPILE_ROUNDS)


def test_thread_variables(benchmark):
    """The default run with variables that make thread pools compete, and with none set."""
    seconds = []

    def run():
        seconds.append([processes.default_run(**cases.THREAD_VARIABLES), processes.default_run()])

    # The processes time themselves, without their start-up.
    benchmark.pedantic(run, rounds=5)
    benchmark.extra_info["pairs"] = seconds


def test_memory(benchmark):
    arrays = benchmark.pedantic(
        processes.arrays_at_peak, (cases.MEMORY_WIDTH, cases.MEMORY_BATCH), rounds=1
    )
    benchmark.extra_info["arrays"] = arrays
