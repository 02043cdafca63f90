"""The bounds of the rules, declared as options."""

from __future__ import annotations

from dataclasses import dataclass

from snstat.activation import resolve
from snstat.errors import InvalidValueError
from snstat.limits import MAX_DEPTH, MAX_SCALE
from snstat.values.kinds import Name, Real, Whole
from snstat.values.option import Settings, option

NUMBER_FORMATS = ("float16", "bfloat16", "float32")
# Decades of a squared gradient beyond these are beyond a float64.
MAX_DECADES = 300.0
# First-order theory is not valid for standard deviations above this.
MAX_FLUCTUATION = 2.0

_POSITIVE, _SHARE = Real(0.0, MAX_SCALE), Real(0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds(Settings):
    """The bounds of the rules, validated; see the rules for their meaning.

    `depth_limit` is the depth up to which the forward signal has to survive (None: the stack's).
    Second moments are bounded from below by `second_moment_min` times the smaller of 1 and the
    input's, and from above likewise. `target_mean` and `target_variance` are None where no target
    is set, `target_layer` is the layer at which it is checked (None: the last).
    """

    number_format: str = option(
        Name(NUMBER_FORMATS),
        "Number format in which values must be representable.",
        default="float32",
    )
    depth_limit: int | None = option(
        Whole(1, MAX_DEPTH),
        "Layers that the forward signal has to survive.",
        shown="the depth",
        metavar="N",
    )
    second_moment_min: float = option(
        _POSITIVE,
        "Least second moment, times the smaller of 1 and the input's.",
        default=0.005,
        metavar="X",
    )
    second_moment_max: float = option(
        _POSITIVE,
        "Largest second moment, times the larger of 1 and the input's.",
        default=100.0,
        metavar="X",
    )
    target_mean: float | None = option(
        Real(-MAX_SCALE, MAX_SCALE), "Target mean.", shown="0 for selu", metavar="X"
    )
    target_variance: float | None = option(
        _POSITIVE, "Target variance.", shown="1 for selu", metavar="X"
    )
    target_tolerance: float = option(
        _POSITIVE, "Distance allowed, in units of the target.", default=0.1, metavar="X"
    )
    target_layer: int | None = option(
        Whole(1, MAX_DEPTH),
        "Layer at which the target is checked.",
        shown="the last",
        metavar="N",
    )
    gradient_decades: float = option(
        Real(0.0, MAX_DECADES),
        "Powers of ten that squared gradients may grow or shrink by.",
        default=6.0,
        metavar="X",
    )
    singular_max: float | None = option(
        _POSITIVE,
        "Largest singular value of the Jacobian of the last layer.",
        shown="none",
        metavar="X",
    )
    near_zero_max: float | None = option(
        _SHARE,
        "Share of its singular values that may be at most 0.001 of the largest.",
        shown="none",
        metavar="X",
    )
    weight_gradient_decades: float = option(
        Real(0.0, MAX_DECADES),
        "Powers of ten between squared gradients of different layers' weights.",
        default=6.0,
        metavar="X",
    )
    cosine_max: float = option(
        _SHARE, "Cosine at which inputs count as alike.", default=0.98, metavar="X"
    )
    position_cosine_max: float = option(
        _SHARE, "Cosine at which positions count as alike.", default=0.98, metavar="X"
    )
    separation_max: float = option(
        Real(1.0, MAX_SCALE),
        "Factor per layer by which inputs may separate.",
        default=1.1,
        metavar="X",
    )
    dropout_share_max: float = option(
        _SHARE, "Share of dropout in the distance between outputs.", default=0.98, metavar="X"
    )
    branch_share_min: float = option(
        _SHARE,
        "Least share of a residual's branch in the second moment.",
        default=0.001,
        metavar="X",
    )
    position_share_min: float = option(
        _SHARE,
        "Least share of the average that the second moment at a position may be.",
        default=0.01,
        metavar="X",
    )
    dead_max: float = option(_SHARE, "Share of units that may be dead.", default=0.5, metavar="X")
    saturated_max: float = option(
        _SHARE, "Share of units that may be saturated.", default=0.5, metavar="X"
    )
    fluctuation_max: float = option(
        Real(0.0, MAX_FLUCTUATION),
        "Standard deviation between networks of the log second moment.",
        default=1.0,
        metavar="X",
    )
    min_effect: float = option(
        _POSITIVE, "Smallest relative difference from a baseline.", default=0.01, metavar="X"
    )

    widths_slope_max: float = option(
        _POSITIVE,
        "Largest slope of ln RMS against ln width, either way, with --widths-flat.",
        default=0.1,
        metavar="X",
    )

    def __post_init__(self) -> None:
        """Validate the values, and those that belong together."""
        Settings.__post_init__(self)
        low, high = self.second_moment_min, self.second_moment_max
        if low >= high:
            raise InvalidValueError(
                "second_moment_min", low, f"below second_moment_max, which is {high:g}"
            )
        if (self.target_mean is None) != (self.target_variance is None):
            missing = "target_mean" if self.target_mean is None else "target_variance"
            raise InvalidValueError(missing, "not given", "given too", "a target is a pair")

    def second_moment_range(self, start: float) -> tuple[float, float]:
        """Return the second moments allowed to a stack whose input has `start`."""
        return self.second_moment_min * min(1.0, start), self.second_moment_max * max(1.0, start)

    @property
    def asked(self) -> tuple[float, float] | None:
        """The (mean, variance) that is asked for, None if none is."""
        if self.target_mean is None or self.target_variance is None:
            return None
        return self.target_mean, self.target_variance

    def target(self, activation: str) -> tuple[float, float] | None:
        """Return the (mean, variance) that a stack of `activation` is to reach, None if any."""
        return self.asked or resolve(activation).target

    def layer_of_target(self, depth: int, *, reads_out: bool) -> int:
        """Return the layer at which the target is checked: the last, but for one that `reads_out`,
        which need not reach the target of an activation that it does not have."""
        last = depth - 1 if reads_out and self.asked is None else depth
        return min(self.target_layer or last, depth)
