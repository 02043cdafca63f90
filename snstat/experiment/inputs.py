"""Layer 0 of a run: inputs that are drawn, numbers or tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snstat.results import InputMoments

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Kurtosis of the drawn inputs.
KURTOSIS = {"normal": 3.0, "uniform": 1.8}
# The only distribution of tokens that are drawn.
UNIFORM = "uniform"


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

    def standardized_moments(self) -> None:
        """Return None: other parameters are another distribution."""

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


def token_moments(*, drawn: bool) -> InputMoments:
    """Return the statistics of numbers of tokens: they have none, and samples of them do not differ
    in norm."""
    nan = math.nan
    return InputMoments(nan, nan, nan, nan, nan, nan, nan, length_variance=0.0, drawn=drawn)


@dataclass(frozen=True, slots=True)
class DrawnTokens:
    """Independent numbers, uniform from 0 to `tokens` − 1, at `width` positions. They are the same
    whatever the dtype of the network."""

    width: int
    batch: int
    tokens: int
    label: str = UNIFORM

    @property
    def parameters(self) -> tuple[None, None]:
        """None: tokens have neither mean nor standard deviation."""
        return None, None

    @property
    def prepared(self) -> dict[str, bool]:
        """Nothing: drawn inputs are not prepared."""
        return {"standardize": False, "flatten": False}

    def digest(self) -> None:
        """Return None: the parameters describe the inputs completely."""

    def moments(self) -> InputMoments:
        """Return the statistics of tokens, which have none."""
        return token_moments(drawn=True)

    def standardized_moments(self) -> None:
        """Return None: tokens are not standardized."""

    def reading_bytes(self) -> float:
        """Return 0: nothing is read."""
        return 0.0

    def sample(self, trial: int, seed: int, dtype: str) -> npt.NDArray[np.floating]:
        """Return the batch of one trial, (positions, batch)."""
        import numpy as np

        from snstat.engine.draws import draw_inputs

        shape, std = (self.width, self.batch), math.sqrt(1.0 / 12.0)  # uniform on (−½, ½)
        share = draw_inputs(self.label, *shape, 0.5, std, trial=trial, seed=seed, dtype="float64")
        found = np.clip(np.floor(share * self.tokens), 0, self.tokens - 1)
        numbers: npt.NDArray[np.floating] = found.astype(dtype)
        return numbers
