"""Numbers in common notations are read; other text is refused."""

from __future__ import annotations

import math

import pytest

from snstat.errors import InvalidValueError, UnknownNameError
from snstat.values import real, whole
from snstat.values.arithmetic import computed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5", 1.5),
        ("-2", -2.0),
        ("1e-3", 0.001),
        ("2/3", 2 / 3),
        ("sqrt(2)", math.sqrt(2)),
        ("sqrt(2/3) * (1 + 0.5)", math.sqrt(2 / 3) * 1.5),
        ("-sqrt(4)", -2.0),
        ("7//2", 3.0),
        ("2**-1", 0.5),
        ("inf", math.inf),
    ],
)
def test_numbers_are_read(text: str, value: float) -> None:
    assert real("x", text) == value
    assert type(real("x", text)) is float


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("64", 64),
        ("1e3", 1000),
        ("2**10", 1024),
        ("2**64 - 1", 2**64 - 1),  # a float has too few digits
        ("3*4", 12),
        ("8/2", 4),
        ("-1", -1),
        ("sqrt(16)", 4),
    ],
)
def test_whole_numbers_are_read_exactly(text: str, value: int) -> None:
    assert whole("x", text) == value
    assert type(whole("x", text)) is int


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "1,5",
        "1 2",
        "x=1",
        "True",
        "'1'",
        "1j",
        "(1,)",
        "[1]",
        "exp(1)",
        "sqrt",
        "sqrt()",
        "sqrt(1, 2)",
        "sqrt(x=1)",
        "sqrt(-1)",
        "(-8)**0.5",
        "__import__('os').getpid()",
        "(1).real",
        "1 if 1 else 2",
        "lambda: 1",
        "9**9**9",
        "(" * 201 + "1" + ")" * 201,
        "1" * 5000,
        "\0",
        "2**0.5**-9999",
    ],
)
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidValueError, match="x is ") as caught:
        whole("x", text)
    assert "\n" not in str(caught.value)
    if text != "1" * 5000:  # that text is a float, and infinite
        with pytest.raises(InvalidValueError):
            real("x", text)


def test_a_division_by_zero_is_refused() -> None:
    for read in (real, whole):
        with pytest.raises(InvalidValueError, match="divides by zero"):
            read("x", "1/0")


@pytest.mark.parametrize("text", ["1.5", "2/3", "inf", "nan", "1e999"])
def test_numbers_that_are_not_whole_are_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="whole number"):
        whole("x", text)


PARAMETERS = {"width": 512, "blocks": 12, "rate": 0.1, "act": "gelu", "causal": True}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("width", 512),
        ("4*width", 2048),
        (" width / 2 ", 256),
        ("width/1024", 0.5),
        ("sqrt(2*blocks)", math.sqrt(24)),
        ("-(blocks - 2**4)//3", 1),
        ("act", "gelu"),
        ("causal", True),
        ("2**64 - 1", 2**64 - 1),
        ("2**500 * 2**500 * 2**500", 2**1500),
    ],
)
def test_arithmetic_on_parameters(text, value):
    found = computed("x", text, PARAMETERS)
    assert found == value
    assert type(found) is type(value)


def test_unknown_parameters_suggest_the_nearest():
    with pytest.raises(UnknownNameError, match=r"parameter is 'widht'.*did you mean 'width'"):
        computed("x", "2*widht", PARAMETERS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("act + 1", "the parameter act is no number"),
        ("causal*2", "the parameter causal is no number"),
        ("1/(blocks - 12)", "divides by zero"),
        ("10**10**10", "too large"),
        ("width**width**width", "too large"),
        ("1e999", "too large"),
        *((text, "write for example") for text in (
            "", "()", "width.real", "[width]", "__import__('os')", "sqrt(1, 2)", "sqrt(-1)",
            "lambda: 1", "width if 1 else 2", "1j", "'\\d'", "1or 2", "\0", "\ud800", "1\n+",
            "(" * 300, "-" * 300 + "1", "width " * 50, "(-1)**0.5", "width[0]", "w:=1",
        )),
    ],
)  # fmt: skip
def test_other_texts_are_no_arithmetic(text, words):
    with pytest.raises(InvalidValueError, match=words) as caught:
        computed("x", text, PARAMETERS)
    assert caught.value.name == "x"
