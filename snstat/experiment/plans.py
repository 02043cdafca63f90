"""The plan of any subject: a stack that options describe, or a network of any layers.

A plain stack needs neither layers nor weights of files, whose import would take a tenth of a run.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

from snstat.activation import resolve
from snstat.errors import InvalidValueError
from snstat.experiment.plan import Plan, sampling_of
from snstat.experiment.source import require_data_of
from snstat.limits import MEMORY
from snstat.network.run_settings import RunSettings
from snstat.network.settings import NetworkSettings
from snstat.results import UNNAMED, Run
from snstat.values.option import options_of

if TYPE_CHECKING:
    from snstat.experiment.network_plan import NetworkPlan
    from snstat.network.network import Network

AnyPlan: TypeAlias = "Plan | NetworkPlan"


def plan_of(settings: RunSettings, network: Network | None = None) -> AnyPlan:
    """Return the plan to simulate `network` as `settings` say, or the stack that they describe.

    A network that is a uniform stack is simulated as one: that is faster, and theory says more of
    it. In the limit of infinite width it is sampled as any other one. Raises SnstatError for
    invalid settings.
    """
    if settings.infinite_width is None and network is None:
        return Plan.of_settings(settings)
    from snstat.experiment.network_plan import LESS, NetworkPlan, network_source
    from snstat.network.network import Network

    if settings.infinite_width is not None:
        network, settings = _in_file(network, settings)
        return NetworkPlan.of_settings(network, settings)
    assert network is not None  # noqa: S101  # for the type checker
    stack = network.uniform()
    if stack is None:
        return NetworkPlan.of_settings(network, settings)
    try:
        plan = Plan.of_stack(stack, network_source(network, settings), settings)
    except InvalidValueError as error:
        if error.name != MEMORY:
            raise
        # Layers of equal width differ at most from the first of them, which has other inputs.
        starts = [1, *(1 + total for total in accumulate(times for _, times in stack.runs))]
        numbers = {min(number, stack.depth) for at in starts for number in (at, at + 1)}
        rows = network.rows(sorted(numbers))
        largest = max(rows, key=lambda row: row.before[0].units + row.after.units)
        remedy = f"{LESS}; of {stack.depth:,} layers {largest.name} is the largest"
        raise InvalidValueError(error.name, error.value, error.bound, remedy) from None
    if network.name:
        return replace(plan, network=network)
    if network.block == Network.of(stack).block:
        return plan
    # Layers have names that the stack lacks: a saved run tells by its own name that they have.
    return replace(plan, network=replace(network, name=UNNAMED))


def _in_file(network: Network | None, settings: RunSettings) -> tuple[Network, RunSettings]:
    """Return a network and settings that describe none: where it is None, the stack that they
    describe."""
    if network is not None:
        return network, settings
    from snstat.network.network import Network

    # Its inputs may be data, which say how many units they have.
    stack = Plan.of_settings(replace(settings, infinite_width=None)).stack
    own = NetworkSettings()
    left_out = {name: getattr(own, name) for name in options_of(NetworkSettings)}
    custom = resolve(stack.activation).custom  # no name that says anything
    network = replace(Network.of(stack), name="" if custom else stack.activation)
    return network, replace(settings, **left_out)


def plan_again(run: Run) -> AnyPlan:
    """Return the plan of `run`, so that it can be simulated again.

    Raises InvalidValueError if its data have changed.
    """
    if run.module is not None:
        raise InvalidValueError(
            "run", run.subject.called, "of a network that snstat simulates itself"
        )
    if run.network is None:
        return Plan.of(run)
    from snstat.experiment.given import chain_again, plan_of_chain
    from snstat.network.network import Network

    network, settings = Network.read(run.network.form), RunSettings(**sampling_of(run))
    plan: AnyPlan
    if run.given is not None:
        plan = plan_of_chain(network, chain_again(run.given), settings)
    else:
        plan = plan_of(settings, network)
    require_data_of(run, plan.inputs)
    return plan
