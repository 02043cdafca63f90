"""Numbers as text, rounded to what their standard error supports.

A missing number (NaN) is the empty string, never 0. Libraries for value ± error were weighed:
sciform takes 18 times as long and 25 ms to import, uncertainties 67 ms, and neither limits the
digits of an estimate, nor gives a prediction those of its estimate.
"""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, Decimal, localcontext
from enum import Enum

# Values outside [SMALL, LARGE) are written with an exponent, as are values whose error has three
# digits or more before the point: 54321 ± 1234 claims digits that "(5.43 ± 0.12)e+04" does not.
LARGE = 1e5
SMALL = 1e-4
LARGE_ERROR = 99.5
# The most digits of an estimate with an error, and the digits of one without.
MOST_DIGITS = 7
PLAIN_DIGITS = 5
# Digits of a prediction that is too far above its estimate to share its format.
APART_DIGITS = 4
CONCISE_NOTE = "1.0023(41) means 1.0023 ± 0.0041 (one standard error)."


class Notation(Enum):
    """How an estimate and its standard error share a cell, widest first."""

    SPACED = " ± "
    TIGHT = "±"
    CONCISE = "("


def exponent_of(value: float) -> int:
    """Return the decimal exponent of a nonzero finite `value`: 2 for 123.4, 3 for 999.96.

    The value is first rounded to two digits, as errors are: 0.0999 counts as 0.10.
    """
    return int(f"{abs(value):.1e}".partition("e")[2])


def quantity(estimate: float, stderr: float, notation: Notation = Notation.SPACED) -> str:
    """Return `estimate` with its standard error, which keeps two significant digits.

    1.00234 and 0.0041 give "1.0023 ± 0.0041", "1.0023±0.0041" or "1.0023(41)" by `notation`;
    1.234e15 and 4.1e13 give "(1.234 ± 0.041)e+15" or "1.234(41)e+15". Without an error (NaN) the
    estimate keeps five digits; an exact zero error is written as 0.
    """
    if not math.isfinite(estimate):
        return ""
    if not math.isfinite(stderr):
        return plain(estimate)
    if stderr == 0:
        closing = ")" if notation is Notation.CONCISE else ""
        return f"{plain(estimate)}{notation.value}0{closing}"
    power = _power(estimate, stderr)
    decimals = _decimals(estimate, stderr, power)
    mantissa = _scaled(estimate, power, decimals)
    # An error below the last digit kept is written as one unit of it: rounded up, never to 0.
    units = max(_units(stderr, power, decimals), 1)
    suffix = f"e{power:+03d}" if power else ""
    if notation is Notation.CONCISE:
        error = f"{units}" if decimals <= 0 or units < 10**decimals else _fixed(units, decimals)
        return f"{mantissa}({error}){suffix}"
    both = f"{mantissa}{notation.value}{_fixed(units, decimals)}"
    return f"({both}){suffix}" if suffix else both


def alike(value: float, estimate: float, stderr: float) -> str:
    """Return `value` (a prediction) with the digits that `quantity` gives to its estimate.

    If the two differ too much to share a format, or there is no error, it has its own. Without an
    error, a value below the last digit of the estimate is written as 0.
    """
    if not math.isfinite(value):
        return ""
    if not (math.isfinite(estimate) and math.isfinite(stderr) and stderr > 0):
        unseen = 0.5 * 10.0 ** (1 - PLAIN_DIGITS)
        if math.isfinite(estimate) and abs(value) < unseen * (abs(estimate) or 1.0):
            return "0"
        return plain(value)
    power = _power(estimate, stderr)
    decimals = _decimals(estimate, stderr, power)
    if power:
        if value == 0:
            return "0"
        own = exponent_of(value)
        # One power more may come from rounding: 9.99 counts as 10.
        if own > power + 1:
            return plain(value, APART_DIGITS)
        digits = min(max(own - power + decimals, 1), MOST_DIGITS - 1)
        return f"{value:.{digits}e}"
    if abs(value) >= LARGE:
        return f"{value:.2e}"
    if value != 0:
        decimals = min(decimals, max(MOST_DIGITS - 1 - exponent_of(value), 0))
    return _scaled(value, 0, decimals)


def plain(value: float, digits: int = PLAIN_DIGITS) -> str:
    """Return `value` with `digits` significant digits, with an exponent if it is huge or tiny."""
    if not math.isfinite(value):
        return ""
    if value == 0:
        return "0"
    power = int(f"{abs(value):.{digits - 1}e}".partition("e")[2])
    if not SMALL <= abs(value) < LARGE:
        return f"{value:.{max(digits - 2, 1)}e}"
    return f"{value:.{max(digits - 1 - power, 0)}f}"


def exact(value: float, digits: int = 6) -> str:
    """Return a computed number with `digits` significant digits and no trailing zeros.

    Infinity is a valid result, such as the slope of a map that starts vertically: "infinite".
    """
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return "" if math.isnan(value) else f"{value + 0.0:.{digits}g}"


def as_given(value: float) -> str:
    """Return `value` with four digits, or as many as reproduce it exactly."""
    text = f"{value:.4g}"
    return text if float(text) == value else repr(value)


def dotted(value: float) -> str:
    """Return `value` with at most four digits, and dots if it has more: "1", "1.414…"."""
    text = f"{value:.4g}"
    if math.isclose(float(text), value, rel_tol=1e-12):
        return text
    # Digits before dots are truncated, not rounded.
    with localcontext(rounding=ROUND_DOWN, prec=4):
        return f"{float(+Decimal(value)):.4g}…"


def factor(value: float) -> str:
    """Return a multiplier with few digits: "×83", "×1.07", "×0.012", "×1.9e+15". Near 1 it has as
    many digits as distinguish it from 1: "×1.0001"."""
    if not math.isfinite(value):
        return ""
    if 100 <= value < LARGE:
        return f"×{value:,.0f}"
    if value == 0 or SMALL <= value < LARGE:
        few = value >= 10 or value < 0.1
        return f"×{float(f'{value:.2g}'):g}" if few else f"×{beside_one(value, 3)}"
    return f"×{value:.1e}"


def beside_one(value: float, digits: int) -> str:
    """Return `value` with `digits` significant digits, or as many as distinguish it from 1."""
    while value != 1 and float(f"{value:.{digits}g}") == 1:
        digits += 1
    return f"{value:.{digits}g}"


def score(z: float) -> str:
    """Return a z-score with one decimal, or fewer digits if it is large."""
    if not math.isfinite(z):
        return ""
    text = f"{z:+.1f}" if abs(z) < 99.5 else f"{z:+.0f}"
    if abs(z) >= 9999.5:
        text = f"{z:+.0e}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def _power(estimate: float, stderr: float) -> int:
    """Return the common exponent of an estimate and its error, 0 for plain notation."""
    scale = max(abs(estimate), stderr)
    if SMALL <= scale < LARGE and stderr < LARGE_ERROR:
        return 0
    return int(f"{scale:.16e}".partition("e")[2])


def _decimals(estimate: float, stderr: float, power: int) -> int:
    """Return how many decimals the error supports, counted after the exponent is taken out."""
    scale = exponent_of(max(abs(estimate), stderr)) - power
    supported = 1 - (exponent_of(stderr) - power)
    return max(min(supported, MOST_DIGITS - 1 - scale), 0)


def _scaled(value: float, power: int, decimals: int) -> str:
    """Return value / 10**power with `decimals` decimals, exactly rounded and without "-0.00"."""
    # Decimal neither overflows nor underflows at the ends of the float range.
    text = f"{Decimal(value).scaleb(-power):.{decimals}f}"
    return text.removeprefix("-") if not any(digit in text for digit in "123456789") else text


def _units(value: float, power: int, decimals: int) -> int:
    """Return `value` in units of the last decimal."""
    return int(_scaled(value, power, decimals).replace(".", ""))


def _fixed(units: int, decimals: int) -> str:
    """Return `units` of the last decimal as a decimal number."""
    return f"{units / 10**decimals:.{decimals}f}"
