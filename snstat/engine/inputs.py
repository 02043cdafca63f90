"""The interface of the inputs of a simulation, layer 0."""

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
        """The name of the inputs in the record."""
        ...

    @property
    def width(self) -> int:
        """The number of units of the input layer."""
        ...

    @property
    def batch(self) -> int:
        """The number of samples of a trial."""
        ...

    @property
    def parameters(self) -> tuple[float | None, float | None]:
        """The requested mean and standard deviation, None for data."""
        ...

    @property
    def prepared(self) -> dict[str, bool]:
        """Whether data were standardized and flattened."""
        ...

    def moments(self) -> InputMoments:
        """Return the expected values of the statistics of layer 0."""
        ...

    def standardized_moments(self) -> InputMoments | None:
        """Return the moments of the same data standardized, None for drawn inputs."""
        ...

    def digest(self) -> str | None:
        """Return an identifier of the content of data, None for drawn inputs."""
        ...

    def reading_bytes(self) -> float:
        """Return the memory that `moments` takes beside the batches, 0 for drawn inputs."""
        ...

    def sample(self, trial: int, seed: int, dtype: str) -> npt.NDArray[np.floating]:
        """Return the batch of one trial, (width, batch), units by rows."""
        ...
