"""A user's own data as inputs: moments, standardized form, and random batches."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.errors import InvalidValueError
from snstat.experiment.norms import classify, norm_classes
from snstat.experiment.reading import tell
from snstat.files.arrays import require_real
from snstat.files.digest import digest_of
from snstat.network.run_settings import DEFAULT_BATCH
from snstat.results import InputMoments, Samples

# Data are read in blocks of rows of about this many values (64 MiB as float64).
BLOCK_VALUES = 2**23
# Samples whose norms differ by no more than this share, the rounding of float16, count as equal.
EQUAL = 1e-3
# The spread of cosines is estimated from so many samples.
SPREAD_SAMPLES = 512
# Powers below this have lost digits to underflow, so their ratios are meaningless.
LEAST_POWER = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, slots=True, eq=False)
class DataInputs:
    """A user's own data, (samples, …), of any real dtype, possibly memory-mapped.

    Samples with more than one axis are flattened row by row. Every value x enters the network as
    (x − `centre`)/`scale`; see `standardized`. The units of a grid are at so many `positions`,
    those of a position next to each other. Every trial takes all samples if `batch` is their
    number, otherwise its own random subset. Errors name a value by its place in samples of the
    shape `sample_shape`, by default that of `data`.
    """

    label: str
    data: npt.NDArray[Any]
    batch: int
    centre: float = 0.0
    scale: float | None = None
    positions: int = 1
    sample_shape: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """The number of units of the input layer."""
        return math.prod(self.data.shape[1:])

    def rows(self, chosen: Any) -> npt.NDArray[np.float64]:
        """Return the `chosen` samples as they enter the network, (samples, width)."""
        if isinstance(chosen, slice) and chosen.stop is not None:
            tell(min(1.0, chosen.stop / len(self.data)))
        part = np.asarray(self.data[chosen], dtype=np.float64)
        part = part.reshape(len(part), self.width)
        return part if self.scale is None else (part - self.centre) / self.scale

    def standardized(self) -> DataInputs:
        """Return the data with the file's mean subtracted, divided by its standard deviation.

        Reads the data twice, in blocks of rows. Raises InvalidValueError for data without spread
        and at the first value that is not finite.
        """
        plain = replace(self, centre=0.0, scale=None)
        samples = self.data.shape[0]
        step = max(1, BLOCK_VALUES // self.width)
        total, low, high = 0.0, math.inf, -math.inf
        for first in range(0, samples, step):
            block = plain.rows(slice(first, first + step))
            self._require_finite(block, first)
            # Add shares of the mean, because the sum of all values may overflow.
            total += float((block / (samples * self.width)).sum())
            low, high = min(low, float(block.min())), max(high, float(block.max()))
        centre = min(max(total, low), high)
        largest = max(high - centre, centre - low)
        if not 0 < largest < math.inf:
            raise InvalidValueError(
                "inputs",
                f"data whose values are all {low:g}" if low == high else "too far apart",
                "values with some spread, to be standardized",
                "remove --standardize",
            )
        square = 0.0
        for first in range(0, samples, step):
            block = (plain.rows(slice(first, first + step)) - centre) / largest
            square += float((block * block).sum()) / (samples * self.width)
        return replace(self, centre=centre, scale=largest * math.sqrt(square))

    def standardized_moments(self) -> InputMoments:
        """Return the moments of the standardized data."""
        return self.standardized().moments()

    @property
    def parameters(self) -> tuple[float | None, float | None]:
        """Nothing: data have no such parameters."""
        return None, None

    @property
    def prepared(self) -> dict[str, bool]:
        """Whether the data are standardized and flattened."""
        return {"standardize": self.scale is not None, "flatten": self.data.ndim > 2}

    def reading_bytes(self) -> float:
        """Return the memory that `moments` takes: sums by unit, numbers by sample and their order,
        a block of rows and arrays computed from it."""
        samples, width = float(self.data.shape[0]), float(self.width)
        block = min(samples * width, max(BLOCK_VALUES, width))
        return np.dtype(np.float64).itemsize * (3.0 * width + 4.0 * samples + 4.0 * block)

    def sample(self, trial: int, seed: int, dtype: str) -> npt.NDArray[np.floating]:
        """Return the batch of one trial, (width, batch)."""
        chosen: Any = slice(None)
        if self.batch < self.data.shape[0]:
            chosen = self._drawn(trial, seed)
        with np.errstate(over="ignore"):  # a value outside the range of dtype shows in layer 0
            # Always copy, because samplers write to the array.
            if self.scale is None:
                part = self.data[chosen]
                return np.array(part.reshape(len(part), self.width).T, dtype=dtype, order="C")
            return np.array(self.rows(chosen).T, dtype=dtype, order="C")

    def _drawn(self, trial: int, seed: int) -> npt.NDArray[np.int64]:
        """Return the samples that a trial takes, fewer than all, (batch,)."""
        generator = np.random.Generator(np.random.Philox(key=[seed, trial]))
        # Sorted, so that a memory-mapped file is read from front to back.
        return np.sort(generator.choice(len(self.data), self.batch, replace=False, shuffle=False))

    def samples(self, trials: int, seed: int) -> Samples:
        """Return the samples that the trials take. Those with equal values count as one."""
        if self.batch == len(self.data):
            rows, batches = self.rows(slice(None)), np.arange(self.batch)[None]
        else:
            every = np.array([self._drawn(trial, seed) for trial in range(trials)])
            chosen, place = np.unique(every, return_inverse=True)
            rows, batches = self.rows(chosen), place.reshape(every.shape)
        places: dict[bytes, int] = {}
        which = np.array([places.setdefault(row.tobytes(), len(places)) for row in rows])
        _, first = np.unique(which, return_index=True)
        return Samples(rows[first], which[batches])

    def digest(self) -> str:
        """Return an identifier of the values that enter the network; see digest_of."""
        return digest_of(self.rows, self.data.shape[0], self.width)

    def moments(self) -> InputMoments:
        """Return the expected values of the statistics of a random batch of these data.

        Each is the value of the data, corrected where needed for drawing `batch` samples without
        replacement. Reads the data twice, in blocks of rows, and up to `SPREAD_SAMPLES` rows again.
        Raises InvalidValueError at the first value that is not finite.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            return self._moments()

    def _moments(self) -> InputMoments:
        samples, width = self.data.shape[0], self.width
        step = max(1, BLOCK_VALUES // width)
        unit_sum, resultant = np.zeros(width), np.zeros(width)
        row_means, row_norms, square, over_units = np.empty(samples), np.empty(samples), 0.0, 0.0
        counted, most = 0, 0.0
        for first in range(0, samples, step):
            block = self.rows(slice(first, first + step))
            self._require_finite(block, first)
            means = block.mean(axis=1)
            row_means[first : first + step] = means
            unit_sum += block.sum(axis=0)
            # Compute norms from rows scaled to 1, so that no square overflows or underflows.
            largest = np.abs(block).max(axis=1)
            most = max(most, float(largest.max()))
            rows = block / np.where(largest > 0, largest, 1.0)[:, None]
            norms = np.linalg.norm(rows, axis=1)
            row_norms[first : first + step] = largest * norms
            # Samples of zeros have no angle.
            counted += int(np.count_nonzero(norms))
            resultant += (rows / np.where(norms > 0, norms, 1.0)[:, None]).sum(axis=0)
            square += float((block * block).sum())
            units = block.reshape(len(block), self.positions, -1)
            over_units += float(((units - units.mean(axis=2, keepdims=True)) ** 2).sum())
        mean = float(row_means.mean())
        equal = bool(np.ptp(row_norms) <= EQUAL * row_norms.max())
        seconds = row_norms * row_norms / width
        # If squares overflow or underflow there is no theory.
        squared = np.isfinite(seconds).all() and ((seconds > 0) == (row_norms > 0)).all()
        labels = None if equal or not squared else classify(seconds)
        resultants = np.zeros((0 if labels is None else int(labels.max()) + 1, width))
        over_batch = second = fourth = 0.0
        for first in range(0, samples, step):
            block = self.rows(slice(first, first + step))
            deviation = (block - mean) ** 2
            second += float(deviation.sum())
            fourth += float((deviation * deviation).sum())
            over_batch += float(((block - unit_sum / samples) ** 2).sum())
            if labels is not None:
                norms = row_norms[first : first + step, None]
                rows = block / np.where(norms > 0, norms, 1.0)
                for label in np.unique(labels[first : first + step]):
                    resultants[label] += rows[labels[first : first + step] == label].sum(axis=0)
        size = samples * width
        # Variance of a subset's mean, drawn without replacement from a finite population.
        drawn = (samples - self.batch) / max(samples - 1, 1) / self.batch
        unbiased = samples / max(samples - 1, 1) * (self.batch - 1) / self.batch
        cosine = math.nan
        if counted > 1:
            cosine = (float(resultant @ resultant) - counted) / (counted * (counted - 1))
        # The kurtosis of a random subset has no simple expectation.
        known = self.batch == samples and size * LEAST_POWER <= fourth < math.inf
        return InputMoments(
            mean=mean,
            variance=second / size - drawn * float(row_means.var()),
            second_moment=square / size,
            variance_over_batch=over_batch / size * unbiased,
            variance_over_units=over_units / size,
            cosine=cosine,
            kurtosis=fourth / second * (size / second) if known else math.nan,
            length_variance=0.0 if equal else math.nan,
            largest=most,
            norms=None if labels is None else norm_classes(seconds, labels, resultants),
            cosine_spread=self._cosine_spread(),
        )

    def _require_finite(self, block: npt.NDArray[np.float64], first_row: int) -> None:
        """Raise InvalidValueError for the first value of `block` (rows, width) that is not
        finite."""
        bad = np.argwhere(~np.isfinite(block))
        if bad.size:
            row, column = bad[0]
            raise InvalidValueError(
                self.place(first_row + row, column),
                float(block[row, column]),
                "finite",
                "remove or replace missing values first",
            )

    def place(self, row: int, column: int) -> str:
        """Return what a value is called, by its indices in the data as they were given."""
        within = np.unravel_index(column, self.sample_shape or self.data.shape[1:])
        return f"inputs[{', '.join(map(str, (row, *within)))}]"

    def _cosine_spread(self) -> float:
        """Return the standard deviation of the cosine over pairs of different samples, from up to
        `SPREAD_SAMPLES` of them, evenly spaced."""
        samples = self.data.shape[0]
        most = max(min(samples, SPREAD_SAMPLES, BLOCK_VALUES // self.width), 2)
        rows = self.rows(np.unique(np.linspace(0, samples - 1, most).astype(int)))
        rows = rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), LEAST_POWER)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows[norms[:, 0] > 0] / norms[norms > 0][:, None]
        cosines = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
        return float(cosines.std()) if cosines.size else 0.0


def check_data(
    data: npt.NDArray[Any],
    label: str,
    batch: int | None,
    *,
    standardize: bool = False,
    flatten: bool = False,
    sample: tuple[int, ...] = (),
) -> DataInputs:
    """Return `data` as inputs; raise InvalidValueError if its shape or dtype is not usable.

    `batch` defaults to 64 or the number of samples, whichever is less. `sample` is the shape of a
    sample of a network on a grid, channels last: data of that shape enter as they are.
    """
    data = require_real(data)
    given = data.shape[1:]
    if len(sample) > 1:
        data = _on_grid(data, sample, flatten=flatten)
    if data.ndim != 2 and not (flatten and data.ndim > 2):
        remedy = "reshape to two dimensions"
        if data.ndim > 2:
            remedy = "use --flatten to make every sample a vector"
        raise InvalidValueError("shape of inputs", data.shape, "(samples, width)", remedy)
    if 0 in data.shape:
        raise InvalidValueError("shape of inputs", data.shape, "at least one sample and one unit")
    samples = data.shape[0]
    if batch is not None and batch > samples:
        raise InvalidValueError(
            "batch", batch, f"at most {samples}, the samples in the data", "use a smaller --batch"
        )
    count = min(samples, DEFAULT_BATCH) if batch is None else batch
    found = DataInputs(label, data, count, sample_shape=given)
    return found.standardized() if standardize else found


def _on_grid(data: npt.NDArray[Any], sample: tuple[int, ...], *, flatten: bool) -> npt.NDArray[Any]:
    """Return data with the axes (samples, *`sample`) as (samples, width), and vectors as they are.
    Axes of length 1 may be anywhere, or left out: a picture of one channel has none.

    Raises InvalidValueError for other axes, even with `flatten` for channels that come before the
    grid, as in PyTorch: positions would be taken for channels.
    """
    *grid, channels = sample
    if [n for n in data.shape[1:] if n > 1] == [n for n in sample if n > 1]:
        return data.reshape(len(data), math.prod(sample))
    turned = data.shape[1:] == (channels, *grid)
    if turned or (data.ndim > 2 and not flatten):
        bound = f"(samples, {', '.join(map(str, sample))}), channels last"
        remedy = "move the axis of channels to the end" if turned else ""
        raise InvalidValueError("shape of inputs", data.shape, bound, remedy)
    return data
