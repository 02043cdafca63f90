"""Pictures over a range of gains: the options of `snstat plot --kind phase`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from snstat.activation import resolve
from snstat.cli.options import apply
from snstat.cli.parameters import FileName, Several, Type, Value, begins
from snstat.errors import InputFileError, InvalidValueError
from snstat.limits import MAX_SCALE
from snstat.results.phase import CONTOURS
from snstat.values import number, real
from snstat.values.kinds import Name

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Function = TypeVar("Function", bound=Callable[..., Any])
# What a range is told with, and those of a picture without others.
BOUND = "LOW:HIGH with LOW below HIGH"
DEFAULTS = {"weight_gain": (0.5, 3.0), "bias_std": (0.0, 1.0)}
# Small multiples in one picture.
MOST = 20
AXES = ("gain", "variance")


@dataclass(frozen=True, slots=True)
class Range:
    """All numbers from `low` to `high`."""

    low: float
    high: float

    def __str__(self) -> str:
        """Return the range as it is typed."""
        return f"{self.low:g}:{self.high:g}"


class NumberOrRange(Type):
    """A number as the option has it in other pictures, or the range LOW:HIGH."""

    name = "number"

    def __init__(self, of_numbers: Type) -> None:
        self.of_numbers = of_numbers

    def read(self, name: str, text: str) -> float | Range:
        """Return the number or the range."""
        if ":" not in text:
            found: float = self.of_numbers.read(name, text)
            return found
        try:
            low, high = (real(name, part) for part in text.split(":"))
        except ValueError:  # not two parts, or not numbers
            raise InvalidValueError(name, text, BOUND, "write for example 0.5:3") from None
        for end in (low, high):
            number(name, end, 0.0, MAX_SCALE)
        if not low < high:
            raise InvalidValueError(name, text, BOUND)
        return Range(low, high)


class PlaneAxes(Type):
    """Axes of the plane of phases by name, or those of modules."""

    def __init__(self, of_modules: Type) -> None:
        self.of_modules, self.name = of_modules, of_modules.name

    def read(self, name: str, text: str) -> Any:
        """Return the name, or what axes of modules are read as."""
        return text if text in AXES else self.of_modules.read(name, text)

    def completions(self, incomplete: str) -> list[CompletionItem]:
        """Return the names that go on from what is typed."""
        return begins(AXES, incomplete)


def over_ranges(function: Function) -> Function:
    """Let options of `function` that other pictures have too read what --kind phase takes."""
    for parameter in function.__click_params__:  # type: ignore[attr-defined]
        if parameter.name in DEFAULTS:
            parameter.type = NumberOrRange(parameter.type)
            parameter.help += " With --kind phase a range LOW:HIGH."
        elif parameter.name == "axes":
            parameter.type = PlaneAxes(parameter.type)
            parameter.help += " With --kind phase: gain, or variance for G² and b²."
    return function


def refuse_phase_values(options: Mapping[str, Any], kind: str) -> None:
    """Raise InvalidValueError for what only pictures of phases take, in one of another kind."""
    for value in options["axes"]:
        if value in AXES:
            raise InvalidValueError("axes", value, f"GLOB=AXES with --kind {kind}")
    for name in DEFAULTS:
        for value in options[name]:
            if isinstance(value, Range):
                remedy = "--kind phase takes ranges"
                raise InvalidValueError(name, str(value), f"a number with --kind {kind}", remedy)


def phase_options(function: Function) -> Function:
    """Add the options of a picture of phases."""
    return apply(
        function,
        [
            click.option(
                "--contour",
                type=Value(Name(CONTOURS)),
                default="xi_c",
                show_default=True,
                help="Depth scales that are contours of --kind phase.",
            ),
            click.option(
                "--runs",
                "dots",
                cls=Several,
                type=FileName(),
                metavar="RUN.json",
                help="Saved runs that are dots in --kind phase; repeatable.",
            ),
            click.option(
                "--simulate",
                is_flag=True,
                help="Shade --kind depth-scale with the cosine of two inputs in every layer,"
                " simulated at gains of the range; by default with --depth 64, --width 128,"
                " --batch 8 and --trials 4.",
            ),
        ],
        "Picture",
    )


def draw_phases(
    options: Mapping[str, Any],
    *,
    contour: str,
    dots: Sequence[str],
    style: str,
    caption: bool,
    size: tuple[float, float] | None,
) -> Any:
    """Return the figure of the phases of all activations."""
    from snstat.report import figures
    from snstat.theory.pictures import phase_plane

    names = [resolve(name).name for name in options["activation"]]
    if len(names) > MOST:
        raise InvalidValueError("number of activations", len(names), f"at most {MOST}")
    spans = {name: one_range(name, options[name]) for name in DEFAULTS}
    variance = _axes(options["axes"]) == "variance"
    places = _places(dots, names)
    figures.load_matplotlib()
    phases = [
        phase_plane(name, spans["weight_gain"], spans["bias_std"], variance=variance)
        for name in names
    ]
    return figures.draw_phase(
        phases, style, contour=contour, variance=variance, dots=places, caption=caption, size=size
    )


def _axes(values: Sequence[str]) -> str:
    """Return what the axes are, which is said once at most."""
    if not values:
        return AXES[0]
    if len(values) > 1 or values[0] not in AXES:
        bound = " or ".join(AXES)
        raise InvalidValueError("axes", ",".join(map(str, values)), f"{bound} with --kind phase")
    return values[0]


def one_range(name: str, values: Sequence[float | Range]) -> tuple[float, float]:
    """Return the one range among the values of an option, its default if there is none."""
    if not values:
        return DEFAULTS[name]
    if len(values) > 1:
        raise InvalidValueError(name, ",".join(map(str, values)), "one range LOW:HIGH")
    (value,) = values
    if not isinstance(value, Range):
        low, high = DEFAULTS[name]
        raise InvalidValueError(name, value, BOUND, f"write for example {low:g}:{high:g}")
    return value.low, value.high


def _places(files: Sequence[str], names: Sequence[str]) -> list[list[tuple[float, float]]]:
    """Return (gain, bias deviation) of the runs in `files`, for each activation."""
    from snstat.files.saved import load_all

    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for path in files:
        for run in load_all(path):
            stack = run.stack
            if stack is None:
                reason = "is a run of a network of layers, which has no single gain"
                raise InputFileError(path, reason, "give runs of uniform stacks")
            if stack.activation not in found:
                reason = f"is a run of {stack.activation}, which is not drawn"
                raise InputFileError(path, reason, f"add -a {stack.activation}")
            found[stack.activation].append((stack.weight_gain, stack.bias_std))
    return [found[name] for name in names]
