"""Layer 0 of a run: drawn inputs, or a user's own data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snstat.errors import InvalidValueError
from snstat.experiment.data import DataInputs
from snstat.files.arrays import require_real
from snstat.network.run_settings import DEFAULT_BATCH
from snstat.results import InputMoments

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Kurtosis of the drawn inputs.
KURTOSIS = {"normal": 3.0, "uniform": 1.8}


@dataclass(frozen=True, slots=True)
class DrawnInputs:
    """Independent inputs with one mean and standard deviation; `label` names the distribution."""

    label: str
    width: int
    batch: int
    mean: float
    std: float

    @property
    def parameters(self) -> tuple[float | None, float | None]:
        """The requested mean and standard deviation."""
        return self.mean, self.std

    @property
    def prepared(self) -> dict[str, bool]:
        """Nothing: drawn inputs are not prepared."""
        return {"standardize": False, "flatten": False}

    def digest(self) -> None:
        """Return None: the parameters describe the inputs completely."""

    def moments(self) -> InputMoments:
        """Return the moments of the distribution, with the cosine at infinite width."""
        variance = self.std**2
        second_moment = variance + self.mean**2
        # Take the ratio of scales, because their squares may underflow.
        ratio = self.std / self.mean if self.mean else math.inf
        silent = self.std == 0 and self.mean == 0
        return InputMoments(
            mean=self.mean,
            variance=variance,
            second_moment=second_moment,
            variance_over_batch=variance * (1.0 - 1.0 / self.batch),
            variance_over_units=variance,
            cosine=math.nan if silent else 1.0 / (1.0 + ratio * ratio),
            kurtosis=KURTOSIS[self.label] if self.std > 0 else math.nan,
            length_variance=self._length_variance(),
            drawn=True,
        )

    def _length_variance(self) -> float:
        """Return Var(x²)/(width·E[x²]²) of values x that are symmetric about their mean."""
        if self.std == 0:
            return 0.0
        ratio = self.mean / self.std
        square = ratio * ratio
        spread = (KURTOSIS[self.label] - 1.0) + 4.0 * square
        # Divide twice, because the square of the sum may overflow.
        return spread / (1.0 + square) / (1.0 + square) / self.width

    def reading_bytes(self) -> float:
        """Return 0: nothing is read."""
        return 0.0

    def sample(self, trial: int, seed: int, dtype: str) -> npt.NDArray[np.floating]:
        """Return the batch of one trial, (width, batch)."""
        from snstat.engine.draws import draw_inputs

        return draw_inputs(
            self.label,
            self.width,
            self.batch,
            self.mean,
            self.std,
            trial=trial,
            seed=seed,
            dtype=dtype,
        )


def check_data(
    data: npt.NDArray[Any],
    label: str,
    batch: int | None,
    *,
    standardize: bool = False,
    flatten: bool = False,
) -> DataInputs:
    """Return `data` as inputs; raise InvalidValueError if its shape or dtype is not usable.

    `batch` defaults to 64 or the number of samples, whichever is less.
    """
    data = require_real(data)
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
    found = DataInputs(label, data, min(samples, DEFAULT_BATCH) if batch is None else batch)
    return found.standardized() if standardize else found
