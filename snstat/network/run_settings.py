"""The options of a run: the network, its inputs, and how it is sampled."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.errors import InvalidValueError, UnknownNameError
from snstat.limits import MAX_BATCH, MAX_SCALE, MAX_SEED, MAX_THREADS, MAX_TRIALS, MAX_WIDTH
from snstat.network.settings import NetworkSettings
from snstat.values.kinds import File, Flag, Name, Real, Whole
from snstat.values.option import option, single

DTYPES = ("float32", "float64")
# Samples of a batch where nothing is said.
DEFAULT_BATCH = 64
AUTO, DENSE, MATRIX_FREE = SAMPLERS = ("auto", "dense", "matrix-free")
# Distributions of drawn inputs.
DRAWN = ("normal", "uniform")


# numpy's names and codes of the same types. Other byte orders are no types to compute with.
DTYPE_ALIASES = {
    alias: name
    for name, short, letter in (("float32", "f4", "f"), ("float64", "f8", "d"))
    for alias in (short, letter, f"={short}", np.dtype(name).str)
} | {"single": "float32", "double": "float64"}
# In Python, this number of trials keeps their values.
KEEP = "keep"
DEFAULT_TRIALS = 8


class Dtype(Name):
    """The name of a floating-point type, or in Python a type of numpy or PyTorch."""

    def check(self, name: str, value: Any) -> str:
        """See Kind."""
        if isinstance(value, type | np.dtype):
            with contextlib.suppress(TypeError):  # a class that is not a type of numbers
                dtype = np.dtype(value)
                value = dtype.name if dtype.isnative else dtype.str
        elif type(value).__module__ == "torch":
            value = str(value).removeprefix("torch.")
        try:
            return super().check(name, value)
        except UnknownNameError:  # which may suggest a code
            raise UnknownNameError(name, value, self.table) from None


class Trials(Whole):
    """A number of trials. Their values are kept by another option."""

    def check(self, name: str, value: Any) -> int:
        """See Kind."""
        if isinstance(value, str) and value == KEEP:
            bound = f"a whole number from {self.low} to {self.high:,}"
            raise InvalidValueError(name, value, bound, "keep_trials=True keeps their values")
        return super().check(name, value)


class Units(Whole):
    """A number of units, 0 for None."""

    def check(self, name: str, value: Any) -> int | None:  # type: ignore[override]  # as it says
        """See Kind."""
        return super().check(name, value) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings(NetworkSettings):
    """The options of a run."""

    batch: int | None = option(
        Whole(1, MAX_BATCH),
        "Samples per trial.",
        shown="64, or all samples of a smaller file",
        short="b",
        metavar="N",
    )
    trials: int = option(
        Trials(1, MAX_TRIALS),
        "Independent networks.",
        default=DEFAULT_TRIALS,
        short="t",
        metavar="N",
    )
    seed: int = option(
        Whole(0, MAX_SEED), "Seed of all random numbers.", default=0, short="s", metavar="N"
    )
    inputs: str | os.PathLike[str] | npt.NDArray[Any] | None = option(
        File(*DRAWN),
        "normal, uniform, or a file of shape (samples, width): FILE.npy, FILE.npz or"
        " FILE.npz:name.",
        shown="normal, or as the network file says",
        metavar="KIND",
    )
    input_mean: float | None = option(
        Real(-MAX_SCALE, MAX_SCALE),
        "Mean of the drawn inputs.",
        shown="0, or the file's",
        metavar="M",
    )
    input_std: float | None = option(
        Real(0.0, MAX_SCALE),
        "Standard deviation of the drawn inputs.",
        shown="1, or the file's",
        metavar="S",
    )
    standardize: bool = single(
        Flag(),
        "Subtract the mean of the whole data file and divide by its standard deviation.",
        default=False,
    )
    flatten: bool = single(
        Flag(),
        "Flatten samples of more than one axis, such as images, to vectors.",
        default=False,
    )
    dtype: str = option(
        Dtype(DTYPES, DTYPE_ALIASES),
        "Precision of the simulated network; statistics are always float64.",
        default="float32",
    )
    sampler: str = option(
        Name(SAMPLERS),
        "Draw all weights, or simulate the same network without them; auto takes the cheaper"
        " exact one.",
        default="auto",
    )
    infinite_width: int | None = option(
        Units(0, MAX_WIDTH),
        "Sample the limit of infinite width, as a population of N units in every layer, in the"
        " place of the network at its own widths; 0 is the network itself, and 0,4096 makes a run"
        " of each.",
        shown="0",
        metavar="N",
    )
    backward: bool = single(
        Flag(),
        "Measure the gradient too, in a second pass.",
        default=False,
        off="no-backward",
    )
    train: bool = single(
        Flag(),
        "Dropout and the statistics of batches on, as in training, or off.",
        default=True,
        off="eval",
    )
    threads: int | None = single(
        Whole(1, MAX_THREADS),
        "Threads; results do not depend on them beyond rounding.",
        shown="as many as help, at most the cores this process may use",
        metavar="N",
    )
    keep_trials: bool = False
