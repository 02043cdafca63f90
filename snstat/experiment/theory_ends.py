"""Where theory of a network ends, and why, without a simulation."""

from __future__ import annotations

from snstat.experiment.network_plan import NetworkPlan
from snstat.experiment.network_theory import predicted_statistics
from snstat.experiment.plans import AnyPlan
from snstat.results.theory_end import TheoryEnd


def theory_ends(plan: AnyPlan) -> tuple[TheoryEnd, ...]:
    """Return where theory of the network of a plan ends; uniform stacks have theory of their own,
    which does not."""
    if not isinstance(plan, NetworkPlan) or plan.network.uniform() is not None:
        return ()
    moments = plan.moments()
    walked, expected, _ = plan.theory(moments)
    predicted = predicted_statistics(walked, plan.inputs.batch, moments)
    return plan.theory_ends(walked, predicted, expected)
