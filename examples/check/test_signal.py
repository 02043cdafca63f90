"""Will the signal survive the stacks of this project? A test for each; run them with pytest.

`assert_propagates` takes the options of `snstat check` with underscores. If a rule is broken, it
raises an AssertionError that names the rule, the layer, the value seen and what to try.
"""

import pytest

from snstat.testing import assert_propagates


def test_signal_stays_normalised() -> None:
    """64 SELU layers keep the mean near 0 and the variance near 1."""
    assert_propagates("selu", 64, width=512, target_tolerance=0.1)


@pytest.mark.parametrize("activation", ["selu", "elu", "tanh"])
def test_gradients_keep_their_size(activation: str) -> None:
    """Over 16 layers squared gradients change by less than a factor of 100."""
    assert_propagates(
        activation,
        16,
        width=512,
        backward=True,
        gradient_decades=2,
        select=("SN201", "SN202"),
    )


def test_different_inputs_stay_different() -> None:
    """8 ReLU layers make inputs more alike, but not equal."""
    assert_propagates("relu", 8, width=512, cosine_max=0.95, select=("SN301",))


def test_half_the_weight_gain_is_noticed() -> None:
    """The guard itself works: with half of LeCun's gain the signal vanishes."""
    with pytest.raises(AssertionError, match="SN101"):
        assert_propagates("selu", 64, width=512, weight_gain=0.5)
