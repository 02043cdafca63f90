"""What a simulation asks of layer 0, wherever it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from snstat.results import InputMoments

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Inputs(Protocol):
    """Layer 0 of a run: `label` for the record, the shape of a batch, the moments of layer 0."""

    @property
    def label(self) -> str:
        """What the record calls them."""
        ...

    @property
    def width(self) -> int:
        """Units of the input layer."""
        ...

    @property
    def batch(self) -> int:
        """Samples of a trial."""
        ...

    @property
    def parameters(self) -> tuple[float | None, float | None]:
        """Mean and standard deviation asked for, None for data."""
        ...

    @property
    def prepared(self) -> dict[str, bool]:
        """What was done to data: whether they were standardized, and flattened."""
        ...

    def moments(self) -> InputMoments:
        """Return what the statistics of layer 0 average to."""
        ...

    def digest(self) -> str | None:
        """Return what tells the content of data from that of others, None for drawn inputs."""
        ...

    def reading_bytes(self) -> float:
        """Return the memory that `moments` takes beside the batches, 0 for drawn inputs."""
        ...

    def sample(self, trial: int, seed: int, dtype: str) -> npt.NDArray[np.floating]:
        """Return the batch of one trial, (width, batch), units by rows."""
        ...
