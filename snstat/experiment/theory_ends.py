"""Where theory of a network ends, and why, without a simulation."""

from __future__ import annotations

from snstat.experiment.network_plan import NetworkPlan
from snstat.experiment.network_theory import predicted_statistics
from snstat.experiment.plans import AnyPlan
from snstat.network.network import Network
from snstat.results.theory_end import TheoryEnd

# So many pairs of positions, in all layers together, are followed in about a second.
QUICK_PAIRS = 2**22


def takes_time(network: Network) -> bool:
    """Return whether theory of a network may take more than moments: of very many layers, or of
    very many pairs of positions."""
    from snstat.theory.start import MOST_COUNTED, pairs_of

    return network.depth > MOST_COUNTED or pairs_of(network) > QUICK_PAIRS


def theory_ends(plan: AnyPlan) -> tuple[TheoryEnd, ...]:
    """Return where theory of the network of a plan ends; uniform stacks have theory of their own,
    which does not."""
    if not isinstance(plan, NetworkPlan) or plan.network.uniform() is not None:
        return ()
    moments = plan.inputs.moments()
    walked, expected, _ = plan.theory(moments)
    predicted = predicted_statistics(walked, plan.inputs.batch, moments)
    return plan.theory_ends(walked, predicted, expected)
