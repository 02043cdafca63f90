"""What the parameters of a traced module were drawn from, by their values in all trials.

A matrix is recognised in the first trial as `snstat weights` does it. In each later one its mean
square must be that of the scheme. Of several schemes that fit, the one that most matrices of the
module have is taken, so that a small matrix does not decide by chance.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from snstat.layers.initialisers import INITIALISERS, TRUNCATED_STD
from snstat.results import FloatArray
from snstat.sources.weights.dtypes import DTYPES
from snstat.sources.weights.identify import MEAN, RARE, VARIANCE, Looks, schemes_of
from snstat.sources.weights.laws import LAWS, NORMAL, TRUNCATED, UNIFORM, kolmogorov
from snstat.sources.weights.layouts import Fans, fans_of, matrix_of
from snstat.sources.weights.matrix import Matrix
from snstat.sources.weights.moments import moments_of
from snstat.sources.weights.schemes import ORTHOGONAL, Named, named
from snstat.sources.weights.spectral import spectral_norm
from snstat.sources.weights.tensor import TORCH

# Standard errors of a mean square of one trial. There may be thousands of matrices and trials, of
# which one in 16,000 is beyond 4; of all trials taken together, 4 are allowed as of one matrix.
OF_ONE_TRIAL = 6.0
# Values of a matrix whose largest singular value is looked at, which takes long of larger ones.
MOST_OF_A_NORM = 2**18
# A relative difference of mean squares that are equal but for rounding in short types.
ROUNDED = 1e-2
# The same of those that are summed in another order, in long types.
SUMMED = 1e-12
# So many squares have a mean whose logarithm is nearly normal.
MANY = 64
# What initialisers of each law are called.
OF_LAW = {NORMAL: "lecun_normal", UNIFORM: "lecun_uniform", TRUNCATED: "lecun_truncated"}


class NotDrawnError(Exception):
    """Why parameters are no independent draw that has a name, in a few words."""


class Role(NamedTuple):
    """What a parameter is: the weights of a linear map in a layout, "torch" (out, in) or "jax"
    (in, out), or what PyTorch draws by the `fan_in` of others: biases beside weights, and all
    matrices and biases of recurrent layers; or `rows`, the vectors of tokens or of positions, along
    the last axis; or any other parameter."""

    layout: str = ""
    fan_in: int = 0
    rows: bool = False


@dataclass
class _Seen:
    """What was seen of a parameter: the schemes that its first values may be of, and the mean
    square, the only value, if there is one, and some values of each trial. Of rows, those that are
    0 are `silent`, as that of padding is, and left out otherwise."""

    role: Role
    fans: Fans | None = None
    size: int = 0
    schemes: tuple[Named, ...] = ()
    gain: float = 0.0
    squares: list[float] = field(default_factory=list)
    alone: list[float | None] = field(default_factory=list)
    some: list[bytes] = field(default_factory=list)
    silent: tuple[int, ...] = ()


class Draws:
    """Looks at parameters in every trial: those of the `roles`, by their names."""

    def __init__(self, roles: Mapping[str, Role]) -> None:
        self._seen = {name: _Seen(role) for name, role in roles.items()}
        self._lost = False
        # Parameters by their size, and by their first values in a trial.
        self._alike: defaultdict[int | tuple[int, bytes], list[str]] | None = None

    def take(self, model: nn.Module) -> None:
        """Look at the parameters of the module of a trial."""
        self._alike = None
        there = dict(model.named_parameters(remove_duplicate=False))
        there |= dict(model.named_buffers(remove_duplicate=False))
        for name, seen in self._seen.items():
            if name not in there:
                self._lost = True
                continue
            _take(seen, there[name].detach())

    def constant(self, name: str) -> float | None:
        """Return the number that all values of a parameter are in all trials, None for others."""
        seen = self._of(name).alone
        return seen[0] if not self._lost and len(set(seen)) == 1 else None

    def weights(self, name: str, *, by_gain: bool = True) -> dict[str, Any]:
        """Return the options of a layer with these weights, of which a gain is one if the fan-in of
        the layer is that of PyTorch. Raises NotDrawnError."""
        seen = self._of(name)
        if self.constant(name) == 0.0:
            return {"init": OF_LAW[NORMAL], "weight_gain": 0.0}
        best = self._best(seen, self._drawn(seen, "weights"))
        if best.law == ORTHOGONAL:
            return {"init": ORTHOGONAL, "weight_gain": float(f"{seen.gain:.6g}")}
        if best.name in INITIALISERS and (by_gain or INITIALISERS[best.name].bias_square_gain > 0):
            return {"init": best.name}
        if not by_gain:
            std = math.sqrt(best.variance)
            cut = TRUNCATED_STD if best.law == TRUNCATED else 1.0
            return {"init": OF_LAW[best.law], "weight_std": std / cut}
        fan_in = 1 if seen.fans is None else seen.fans.fan_in
        return {"init": OF_LAW[best.law], "weight_gain": math.sqrt(best.variance * fan_in)}

    def vectors(self, name: str, count: int, what: str = "weights") -> float:
        """Return the standard deviation of the first rows, so many. Raises NotDrawnError for others
        than normal ones, and for rows of which only some are 0."""
        seen = self._of(name)
        if self.constant(name) == 0.0:
            return 0.0
        if any(row < count for row in seen.silent):
            raise NotDrawnError(f"row {min(seen.silent)} of its {what} is 0, as that of padding is")
        fitting = [scheme for scheme in self._drawn(seen, what) if scheme.law == NORMAL]
        if not fitting:
            raise NotDrawnError(f"its {what} are not normal")
        return math.sqrt(self._best(seen, fitting).variance)

    def _best(self, seen: _Seen, fitting: Sequence[Named]) -> Named:
        """Return the scheme among those that fit which most parameters have."""
        counts = self._counts()
        return max(fitting, key=lambda scheme: (
            counts[scheme.name], scheme.name in INITIALISERS, -abs(_z(seen, scheme))
        ))  # fmt: skip

    def biases(self, name: str, init: str) -> float | None:
        """Return the standard deviation of the biases of a layer, None for those that the
        initialiser of its weights has. Raises NotDrawnError."""
        own = INITIALISERS[init].bias_square_gain > 0
        if self.constant(name) == 0.0:
            return 0.0 if own else None
        seen = self._of(name)
        fitting = self._drawn(seen, "biases")
        best = min(fitting, key=lambda scheme: abs(_z(seen, scheme)))
        return None if own and best.law == UNIFORM else math.sqrt(best.variance)

    def require_default(self, name: str, what: str) -> None:
        """Raise NotDrawnError for a parameter of the role of biases, of any number of axes, that is
        not PyTorch's default."""
        self._drawn(self._of(name), what)

    def copied(self, name: str, used: Collection[str]) -> str | None:
        """Return one of the `used` parameters that has the same values as this one in some trial,
        as copies have, or of many values the same mean square in all of them, as transposed copies
        have; None if there is none."""
        own = self._of(name)
        if self._alike is None:
            self._alike = defaultdict(list)
            for other, seen in self._seen.items():
                self._alike[seen.size].append(other)
                for mark in enumerate(seen.some):
                    self._alike[mark].append(other)
        same = (other for mark in enumerate(own.some) for other in self._alike[mark])
        sized = (other for other in self._alike[own.size] if other in used)
        turned = (other for other in sized if _turned(own, self._of(other)))
        found = (other for other in chain(same, turned) if other != name and other in used)
        return next(found, None)

    def _of(self, name: str) -> _Seen:
        """Return what was seen of a parameter, nothing if it was not looked at."""
        return self._seen.get(name, _Seen(Role()))

    def _drawn(self, seen: _Seen, what: str) -> list[Named]:
        """Return the schemes that fit. Raises NotDrawnError for none, and for values that come
        again."""
        if self._lost:
            raise NotDrawnError(f"its {what} are not there in every trial")
        fitting = _fitting(seen)
        if not fitting:
            raise NotDrawnError(f"its {what} fit no named initialiser")
        if len(set(seen.some)) < len(seen.some):
            raise NotDrawnError(f"its {what} are the same in several trials")
        return fitting

    def _counts(self) -> Counter[str]:
        """Return how many parameters each scheme fits."""
        return Counter(scheme.name for seen in self._seen.values() for scheme in _fitting(seen))


def _turned(one: _Seen, two: _Seen) -> bool:
    """Return whether mean squares are those of the same values, maybe in another order."""
    squares = zip(one.squares, two.squares, strict=False)
    if not all(math.isclose(mine, theirs, rel_tol=SUMMED) for mine, theirs in squares):
        return False
    fixed = any(scheme.law == ORTHOGONAL for scheme in (*one.schemes, *two.schemes))
    return one.size >= MANY and not fixed


def _take(seen: _Seen, values: torch.Tensor) -> None:
    """Look at a parameter in one trial."""
    if values.is_meta or not values.is_floating_point() or not values.numel():
        whole = values.numel() == 1 and not values.is_meta
        seen.alone.append(float(values) if whole else None)
        return
    plain = values.to("cpu", torch.float32 if values.dtype.itemsize < 4 else values.dtype)
    array = np.ascontiguousarray(plain.numpy())
    first = not seen.squares
    if seen.role.rows:
        array = array.reshape(-1, array.shape[-1])
        there = array.any(axis=1)
        array = array[there] if there.any() else array
        seen.silent = tuple(np.flatnonzero(~there).tolist()) if len(array) < there.size else ()
    seen.size = array.size
    norm = float(torch.linalg.vector_norm(plain, dtype=torch.float64))
    seen.squares.append(norm * norm / array.size)
    low, high = float(array.min()), float(array.max())
    seen.alone.append(low if low == high else None)
    seen.some.append(array.reshape(-1)[:64].tobytes())
    if not first or not math.isfinite(norm):
        return
    if low == high and array.shape != (1,):  # the one bias of a layer is a draw too
        return
    if seen.role.rows:
        seen.fans = fans_of(array.shape, TORCH)
        _recognise(seen, Matrix(array, DTYPES[array.dtype.name]))
    elif seen.role.layout and array.ndim >= 2:
        seen.fans = fans_of(array.shape, seen.role.layout)
        _recognise(seen, Matrix(matrix_of(array, seen.role.layout), DTYPES[array.dtype.name]))
    elif seen.role.fan_in:
        default = Named("torch_default", UNIFORM, 1.0 / (3.0 * seen.role.fan_in))
        sizes = np.sort(np.abs(array.ravel().astype(np.float64)))
        mean = abs(float(array.mean(dtype=np.float64)))
        if mean < MEAN * math.sqrt(default.variance / array.size) and _distributed(default, sizes):
            seen.schemes = (default,)


def _recognise(seen: _Seen, matrix: Matrix) -> None:
    """Find the schemes that the weights of the first trial may be of."""
    if seen.fans is None:
        return
    large = matrix.units * matrix.fan_in > MOST_OF_A_NORM
    with np.errstate(over="ignore", invalid="ignore"):  # no scheme has such weights
        moments = moments_of(matrix)
        norm = None if large else spectral_norm(matrix)
        found = [scheme.name for scheme in schemes_of(Looks(matrix, seen.fans, moments, norm))]
    known = {scheme.name: scheme for scheme in named(seen.fans)}
    seen.schemes = tuple(known[name] for name in found if name in known)
    if any(name.startswith(ORTHOGONAL) for name in found):
        square = float(np.sum(moments.squares)) / min(matrix.units, matrix.fan_in)
        seen.gain = math.sqrt(square)
        seen.schemes = (Named(ORTHOGONAL, ORTHOGONAL, moments.mean_square),)


def _distributed(scheme: Named, sizes: FloatArray) -> bool:
    """Return whether |x|, ascending, is distributed as a scheme says: see `identify`."""
    law, sizes = LAWS[scheme.law], sizes / math.sqrt(scheme.variance)
    if sizes[-1] > law.largest * (1.0 + ROUNDED):
        return False
    return 2.0 * math.exp(-2.0 * len(sizes) * kolmogorov(law, sizes) ** 2) > RARE


def _fitting(seen: _Seen) -> list[Named]:
    """Return the schemes whose variance the mean squares of all trials have."""
    return [scheme for scheme in seen.schemes if _fits(seen, scheme)]


def _fits(seen: _Seen, scheme: Named) -> bool:
    if scheme.law == ORTHOGONAL:
        return all(math.isclose(s, scheme.variance, rel_tol=ROUNDED) for s in seen.squares)
    if not all(0 < square < math.inf for square in seen.squares):
        return False
    errors = (_of(seen, scheme, square) for square in seen.squares)
    return all(abs(z) < OF_ONE_TRIAL for z in errors) and abs(_z(seen, scheme)) < VARIANCE


def _z(seen: _Seen, scheme: Named) -> float:
    """Return the standard errors by which the mean square of all trials is off."""
    if scheme.law == ORTHOGONAL:
        return 0.0
    trials = len(seen.squares)
    return _of(seen, scheme, sum(seen.squares) / trials) * math.sqrt(trials)


def _of(seen: _Seen, scheme: Named, square: float) -> float:
    error = math.sqrt((LAWS[scheme.law].fourth - 1.0) / seen.size)
    ratio = square / scheme.variance
    # The logarithm of a mean of few squares is far from normal: they may all be small.
    return (math.log(ratio) if seen.size >= MANY else ratio - 1.0) / error
