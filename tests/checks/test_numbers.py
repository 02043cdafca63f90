"""SN001 reports where numbers leave the range of their format, by theory and by simulation."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

from snstat import Network, check, propagate
from snstat.checks.numbers import FORMATS, _gradients, _signals, leaves_range
from snstat.checks.pairs import _alike
from snstat.results import GRADIENT, Run, Simulation, StackSummary, Statistic
from tests.checks.cases import case

WIDTH, BATCH = 64, 16
# On average e^-γ = 0.5615 of N normal values exceed EDGE: N erfc(x/√2) = 0.5615 with N = 1,024.
EDGE = 3.4560


def test_the_edge_has_the_stated_exceedances():
    assert WIDTH * BATCH * math.erfc(EDGE / math.sqrt(2.0)) == pytest.approx(0.561459, rel=2e-3)


def seen(
    depth,
    factor,
    *,
    number_format="float32",
    finite=None,
    gain=2.0,
    std=1.0,
    gradients=False,
    error=0.01,
):
    """Return the case of a ReLU stack whose second moments are gain²/2 to the power of the layer.

    Its run has estimates `factor` times as large, with a relative `error`, finite up to layer
    `finite`.
    """
    made = case(
        "relu",
        depth,
        width=WIDTH,
        batch=BATCH,
        std=std,
        weight_gain=gain,
        bounds={"number_format": number_format},
    )
    layers = np.arange(depth + 1)
    missing = np.full(depth + 1, math.nan)
    values = {"second_moment": std**2 * factor * (gain**2 / 2.0) ** layers}
    values["second_moment"][0] = std**2
    # q of a layer is gain² times the second moment of the layer before.
    values["largest"] = EDGE * gain * np.sqrt(np.roll(values["second_moment"], 1))
    values["largest"][0] = EDGE * std
    if gradients:
        values[GRADIENT] = factor * (gain**2 / 2.0) ** (depth - layers)
    ends = np.ones(depth + 1, np.bool_)
    if finite is not None:
        ends[finite + 1 :] = False
        values["second_moment"][finite + 1 :] = values["largest"][finite + 1 :] = math.nan
    run = Run(
        StackSummary("relu", depth, WIDTH, WIDTH, "he_normal", gain, 0.0),
        Simulation(BATCH, 8, 0, "float32", "matrix-free", "normal", 0.0, 1.0),
        ends,
        MappingProxyType(
            {name: Statistic(value, error * value, missing) for name, value in values.items()}
        ),
    )
    return replace(made, run=run)


def first_beyond(bound, factor=1.0):
    """Return the first layer where the largest activation exceeds the bound, and this value.

    q doubles per layer.
    """
    layer = 2
    while True:
        # q of the layer is 4 times the second moment of the layer before.
        largest = EDGE * math.sqrt(4.0 * factor * 2.0 ** (layer - 1))
        if largest > bound:
            return layer, largest
        layer += 1


@pytest.mark.parametrize("frequency", [0.1, 1.0, 30.0])
def test_the_largest_activation_of_a_sine_is_its_maximum_in_range(frequency):
    """The sine of the largest pre-activation would be smaller, and arbitrary."""
    made = case(f"sine:{frequency:g}", 3, width=WIDTH, batch=BATCH, weight_gain=3.0)
    edge = EDGE * 3.0
    expected = 1.0 if frequency * edge > math.pi / 2 else math.sin(frequency * edge)
    assert made.largest[1] == pytest.approx(expected, rel=1e-3)


def test_the_measured_largest_activation_is_judged():
    layer, largest = first_beyond(65504.0)
    how = leaves_range(seen(layer + 5, 0.25, number_format="float16"))
    text = (
        r"float16 overflows at layer (\d+): largest activation (\S+) \(seen; theory (\S+)\),"
        r" above 65504"
    )
    found = re.fullmatch(text, how.text)
    assert found, how.text
    # It is half as large as predicted, so it overflows two layers later, because squares double.
    assert (how.layer, found[1]) == (layer + 2, str(layer + 2))
    assert how.value == pytest.approx(largest)
    # The message has two digits.
    assert float(found[2]) == pytest.approx(largest, rel=0.05)
    assert float(found[3]) == pytest.approx(2.0 * largest, rel=0.05)
    assert leaves_range(seen(layer + 1, 0.25, number_format="float16")) is None


def test_theory_gives_the_largest_activation_if_none_was_measured():
    layer, largest = first_beyond(65504.0)
    made = seen(layer + 5, 0.25, number_format="float16")
    statistics = dict(made.run.statistics)
    del statistics["largest"]
    before = replace(made, run=replace(made.run, statistics=MappingProxyType(statistics)))
    for some in (before, made.thought):
        how = leaves_range(some)
        assert how.layer == layer
        assert how.value == pytest.approx(largest, rel=1e-3)
        about = f"largest activation about {how.value:.2g} (theory)"
        assert how.text == f"float16 overflows at layer {layer}: {about}, above 65504"


def test_a_simulated_infinity_is_reported_with_the_predicted_layer():
    layer, _ = first_beyond(float(np.finfo(np.float32).max))
    for first, words in (
        (layer - 3, f"predicted from layer {layer} on"),
        (layer, "as predicted"),
    ):
        how = leaves_range(seen(layer + 5, 1.0, finite=first - 1))
        assert (how.layer, how.verdict) == (first, "non-finite")
        start = f"activations are not finite in float32 from layer {first} on (seen; "
        assert how.text == f"{start}{words})"
    # The infinity comes after the predicted layer. What was measured is reported first.
    how = leaves_range(seen(layer + 5, 0.01, finite=layer + 1))
    assert (how.layer, how.verdict) == (layer + 2, "non-finite")
    assert f"(seen; predicted from layer {layer} on)" in how.text
    how = leaves_range(seen(8, 1.0, finite=5))
    assert re.fullmatch(
        r"activations are not finite in float32 from layer 6 on"
        r" \(seen; not predicted, largest \S+\)",
        how.text,
    )


def test_underflow_is_reported_with_the_simulated_layer():
    # Second moments halve per layer: √(2^-l) < 2^-24 from layer 49 on. Theory is judged where
    # errors are as large as the values.
    half = {"gain": 1.0, "number_format": "float16", "error": 1.0}
    for factor, where in ((1.0, ""), (0.25, ", out of range from layer 47 on")):
        how = leaves_range(seen(60, factor, **half))
        assert how.layer == 49
        value = math.sqrt(factor * 2.0**-49)
        assert f"(theory; seen {value:.2g}{where}), below 6e-08" in how.text
    how = leaves_range(seen(60, 0.25, **half | {"error": 0.01}))
    assert how.layer == 47
    assert f"{2.0**-24.5:.2g} (seen; theory {2.0**-23.5:.2g}), below 6e-08" in how.text


def test_underflow_of_gradients_is_counted_from_the_end():
    # Squared gradients halve per layer backward: 2^-(60 - l) < 2^-48 for layers up to 11.
    # Activations start at 2^10 and stay in range.
    half = {"gain": 1.0, "number_format": "float16", "std": 2.0**10, "gradients": True}
    rows = np.arange(61)
    for factor, where in ((1.0, ""), (4.0, ", out of range from layer 9 back")):
        made = seen(60, factor, **half)
        measured = made.run.statistics[GRADIENT]
        # The standard error is that of the logarithm.
        wide = replace(measured, stderr=np.where(rows < 60, 1.0, 0.0))
        statistics = MappingProxyType(dict(made.run.statistics) | {GRADIENT: wide})
        how = leaves_range(replace(made, run=replace(made.run, statistics=statistics)))
        assert how.layer == 11
        assert how.value == pytest.approx(2.0**-24.5)
        value = math.sqrt(factor) * 2.0**-24.5
        assert f"underflow at layer 11: {2.0**-24.5:.2g} of" in how.text
        assert f"(theory; seen {value:.2g}{where}), below 6e-08" in how.text
    how = leaves_range(seen(60, 4.0, **half))
    assert how.layer == 9
    assert f"{2.0**-24.5:.2g} of the last layer's root mean square (seen; theory" in how.text


def test_gradients_of_a_unit_are_relative_to_those_of_the_units_of_the_last_layer():
    """Each layer multiplies the squared norm by gain² = 10⁻⁴, and only 4 of 64 units are left."""
    made = case("identity", None, widths="64,64,64,64,4", weight_gain=0.01)
    (how,) = _gradients(made, "float16", FORMATS["float16"])
    assert how.layer == 0
    assert how.value == pytest.approx(1e-8 * math.sqrt(4 / 64), rel=1e-12)


def test_overflow_of_activations_is_reported_before_that_of_gradients():
    how = leaves_range(seen(60, 1.0, number_format="float16", gradients=True))
    assert how.text.startswith("float16 overflows at layer")


def test_the_simulation_counts_where_theory_stays_in_range():
    # With a gain of √2 theory gives 1 in every layer.
    keeping = {"gain": math.sqrt(2.0), "number_format": "float16"}
    how = leaves_range(seen(20, 2.0**-50, **keeping))
    assert (how.layer, how.verdict) == (1, None)
    assert f"{2.0**-25:.2g} (seen; theory 1), below 6e-08" in how.text
    how = leaves_range(seen(20, 2.0**30, **keeping))
    assert (how.layer, how.verdict) == (2, "non-finite")
    assert re.search(r"\(seen; theory \S+\), above 65504", how.text)
    wide = seen(20, 1.0, gradients=True, **keeping)
    small = replace(wide.run.statistics[GRADIENT], estimate=np.geomspace(2.0**-60, 1.0, 21))
    statistics = MappingProxyType(dict(wide.run.statistics) | {GRADIENT: small})
    how = leaves_range(replace(wide, run=replace(wide.run, statistics=statistics)))
    # 2^(-3(20 - l)) < 2^-48 below layer 4.
    assert how.layer == 3
    assert f"gradients underflow at layer 3: {2.0**-25.5:.2g} of" in how.text
    assert "(seen; theory 1)" in how.text
    assert leaves_range(seen(20, 1.0, gradients=True, **keeping)) is None


@pytest.mark.parametrize("name", ["relu", "tanh", "selu", "softplus", "relu6"])
@pytest.mark.parametrize("options", [{"weight_gain": 0.0}, {"weight_std": 0.0}])
def test_exact_zeros_do_not_underflow(name, options):
    """Weights of 0 make zeros, or constants, of everything: no number is too small."""
    found = check(name, 4, width=32, batch=8, trials=4, **options)
    codes = {finding.code for finding in found.findings}
    assert "SN001" not in codes
    assert found.verdict == "collapsed"
    # The softplus of 0 is not 0, so its units are alive, and all inputs are alike.
    assert ("SN301" if name == "softplus" else "SN401") in codes
    assert "SN101" not in codes


@pytest.mark.parametrize(("options", "why"), [
    ({"batch": 1}, "there is one sample"),
    ({"std": 0.0, "mean": 1.0}, "all inputs are alike"),
    ({"std": 0.0}, "fewer than two samples of a batch are not zero"),
    ({"std": 1e-170}, "the samples are too small for their squares"),
])  # fmt: skip
def test_why_inputs_have_no_difference_to_lose_is_told(options, why):
    assert _alike(case("relu", 4, **options)).why == why


@pytest.mark.parametrize("width", [2, 300])
def test_inputs_whose_squares_underflow_are_not_called_zero(width):
    # Theory alone is at hand of inputs too small to square: they are below sqrt(5e-324).
    found = check("tanh", 2, width=width, batch=4, trials=2, input_std=1e-170, dtype="float64")
    [text] = [finding.message for finding in found.findings if finding.code == "SN001"]
    assert "activations below 2e-162 (theory" in text
    assert not any(finding.code == "SN401" for finding in found.findings)


@pytest.mark.parametrize(
    ("zero_samples", "q", "erased", "signal"),
    [
        (0.5, 1.0, False, [1.0, math.nan, 4.0]),  # some samples are not 0, so squares underflow
        (0.0, 0.0, False, [1.0, math.nan, 4.0]),
        (1.0, 0.0, False, [1.0, 0.0, 4.0]),  # too small before the activation
        (1.0, 1.0, False, [1.0, math.nan, math.nan]),  # dead, and so all that comes after
        (1.0, 0.0, True, [1.0, math.nan, math.nan]),  # weights of 0
    ],
)
def test_a_second_moment_of_0_tells_a_signal_that_is_too_small(zero_samples, q, erased, signal):
    made = SimpleNamespace(
        pre_second_moments=lambda _: np.array([math.nan, q, 1.0]),
        seen={"zero_samples": np.array([0.0, zero_samples, 0.0])}.get,
        erased=np.array([False, erased, False]),
    )
    found = _signals(made, np.array([1.0, 0.0, 4.0]), FORMATS["float32"])
    np.testing.assert_array_equal(found, signal)


def test_zero_samples_of_weights_of_zero():
    for name, share in (("relu", 1.0), ("softplus", 0.0), ("tanh", 1.0)):
        run = propagate(name, 3, width=8, batch=4, trials=2, weight_gain=0.0)
        np.testing.assert_array_equal(run.zero_samples.theory, [0.0, share, share, share])
        np.testing.assert_array_equal(run.zero_samples.estimate, run.zero_samples.theory)
        biased = propagate(name, 3, width=8, batch=4, trials=2, weight_gain=0.0, bias_std=1.0)
        np.testing.assert_array_equal(biased.zero_samples.theory, np.zeros(4))


def test_networks_without_theory_of_the_largest_activation_are_said_to_have_none():
    layers = [{"kind": "dense", "width": 8, "weight_gain": 1000}] * 20 + [{"kind": "layer_norm"}]
    network = Network.read({"input": {"channels": 8}, "layers": layers})
    found = check(network, trials=2, batch=4, select=["SN001"])
    [text] = [finding.message for finding in found.findings]
    # 1000^13 is the first number beyond float32.
    assert "from layer 13 on (seen; no theory of the largest)" in text
