"""Rounding to the digits that the error supports; missing values stay empty."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from snstat.report.numbers import Notation, alike, exact, factor, plain, quantity, score

POSITIVE = st.floats(1e-300, 1e300)


@pytest.mark.parametrize(
    ("estimate", "stderr", "spaced", "concise"),
    [
        (1.00234, 0.0041, "1.0023 ± 0.0041", "1.0023(41)"),
        (-0.0012, 0.00137, "-0.0012 ± 0.0014", "-0.0012(14)"),
        (0.00001, 0.0041, "0.0000 ± 0.0041", "0.0000(41)"),
        (1.002, 0.0999, "1.00 ± 0.10", "1.00(10)"),
        (12.34, 4.56, "12.3 ± 4.6", "12.3(4.6)"),
        (4533.2, 12.3, "4533 ± 12", "4533(12)"),
        (54321.0, 1234.0, "(5.43 ± 0.12)e+04", "5.43(12)e+04"),
        (1.234e15, 4.1e13, "(1.234 ± 0.041)e+15", "1.234(41)e+15"),
        (-5.8e-5, 9.5e-5, "(-5.8 ± 9.5)e-05", "-5.8(9.5)e-05"),
        (0.0, 3e-9, "(0.0 ± 3.0)e-09", "0.0(3.0)e-09"),
        (2.0, 0.0, "2.0000 ± 0", "2.0000(0)"),
        (2.0, math.nan, "2.0000", "2.0000"),
        (math.nan, math.nan, "", ""),
        (math.nan, 0.1, "", ""),
        (math.inf, 0.1, "", ""),
    ],
)
def test_quantity_keeps_two_digits_of_the_error(
    estimate: float, stderr: float, spaced: str, concise: str
) -> None:
    assert quantity(estimate, stderr) == spaced
    assert quantity(estimate, stderr, Notation.CONCISE) == concise
    assert quantity(estimate, stderr, Notation.TIGHT) == spaced.replace(" ± ", "±")


def test_an_error_below_the_last_digit_is_rounded_up() -> None:
    assert quantity(1.0, 1e-12) == "1.000000 ± 0.000001"


def _read(text: str) -> tuple[float, float]:
    match = re.fullmatch(r"\(?(-?[\d.]+) ± ([\d.]+)\)?(e[+-]\d+)?", text)
    assert match is not None, text
    power = match[3] or ""
    return float(match[1] + power), float(match[2] + power)


@given(POSITIVE, POSITIVE, st.booleans())
@example(9.9996, 0.041, False)
@example(99999.96, 0.5, False)
@settings(max_examples=300, deadline=None)
def test_quantity_is_read_back_within_its_rounding(
    size: float, stderr: float, negative: bool
) -> None:
    estimate = -size if negative else size
    value, error = _read(quantity(estimate, stderr))
    # Half a unit of the error's second digit is at most 5 % of the error. Where the estimate's own
    # seven digits are the limit, half a unit of the seventh is at most 5e-7 of it, and the error is
    # one whole unit, at most 1e-6 of it. Numbers from 9.95 on count as 10, hence 0.5 %.
    assert abs(value - estimate) <= 0.0501 * stderr + 5.03e-7 * size
    assert abs(error - stderr) <= 0.0501 * stderr + 1.006e-6 * size
    assert error > 0


@given(st.floats(-1e6, 1e6), st.floats(1e-5, 1e3))
@settings(max_examples=200, deadline=None)
def test_theory_has_the_digits_of_its_estimate(estimate: float, stderr: float) -> None:
    shown = alike(estimate, estimate, stderr)
    value, _ = _read(quantity(estimate, stderr))
    # The value is written alone, so in scientific notation it does not share the error's exponent.
    assert float(shown) == pytest.approx(value, abs=0.11 * stderr, rel=1e-6)


@pytest.mark.parametrize(
    ("value", "estimate", "stderr", "text"),
    [
        (0.0, 0.0012, 0.0014, "0.0000"),
        (1.0, 1.0023, 0.0041, "1.0000"),
        (0.0, -5.8e-5, 9.5e-5, "0"),
        (1.2e15, 1.0, 0.01, "1.20e+15"),
        (1e-9, 0.5, 0.01, "0.000"),
        (0.25, math.nan, math.nan, "0.25000"),
        (0.25, 0.3, 0.0, "0.25000"),
        (math.nan, 0.3, 0.1, ""),
        # A value far above an estimate with an exponent is shown with its own four digits.
        (0.68169, 7.1e-14, 5.3e-14, "0.6817"),
        # At most seven digits, however small the error of the estimate.
        (0.68169011, 1e-3, 1e-9, "0.6816901"),
        # Without an error, values below the fifth digit of the estimate 0.0038142 are shown as 0.
        (1e-17, 0.0038142, math.nan, "0"),
        (1e-7, 0.0038142, math.nan, "0"),
        (3e-7, 0.0038142, math.nan, "3.000e-07"),
        (1e-17, 0.0, 0.0, "0"),
    ],
)
def test_theory_beside_an_estimate(value: float, estimate: float, stderr: float, text: str) -> None:
    assert alike(value, estimate, stderr) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (83.4, "×83"), (1.0716, "×1.07"), (0.012, "×0.012"), (834.0, "×834"), (1.9e15, "×1.9e+15"),
        (1.0, "×1"), (1.0001, "×1.0001"), (1.00012, "×1.0001"), (0.99999988, "×0.9999999"),
        (12345.6, "×12,346"), (0.998, "×0.998"), (math.nextafter(1, 0), "×0.9999999999999999"),
    ],
)  # fmt: skip
def test_factor(value: float, text: str) -> None:
    assert factor(value) == text


@pytest.mark.parametrize(
    ("z", "text"),
    [(-1.24, "-1.2"), (0.04, "0.0"), (123.4, "+123"), (2e4, "+2e+04"), (math.nan, "")],
)
def test_score(z: float, text: str) -> None:
    assert score(z) == text


def test_plain_and_exact() -> None:
    assert [plain(value) for value in (0.0, 1.0, 123456.0, 9.99999, 2.5e-7, math.nan)] == [
        "0", "1.0000", "1.235e+05", "10.000", "2.500e-07", "",
    ]  # fmt: skip
    assert exact(-0.0) == "0"
    assert [exact(value) for value in (math.inf, -math.inf, math.nan)] == [
        "infinite", "-infinite", "",
    ]  # fmt: skip
    assert factor(math.nan) == ""
