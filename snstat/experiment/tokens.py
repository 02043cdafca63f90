"""A user's own numbers of tokens as inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.errors import InvalidValueError
from snstat.experiment.data import BLOCK_VALUES, DataInputs, check_data
from snstat.experiment.inputs import token_moments
from snstat.results import InputMoments


@dataclass(frozen=True, slots=True, eq=False)
class DataTokens(DataInputs):
    """A user's own numbers of tokens, (samples, …): see DataInputs."""

    def moments(self) -> InputMoments:
        """Return the statistics of tokens, which have none."""
        return token_moments(drawn=False)


def check_tokens(
    data: npt.NDArray[Any], label: str, batch: int | None, tokens: int, *, flatten: bool
) -> DataTokens:
    """Return `data` as tokens; raise InvalidValueError as `check_data`, and for the first value
    that is no whole number from 0 to `tokens` − 1. Reads all data once, in blocks of rows."""
    found = check_data(data, label, batch, flatten=flatten)
    step = max(1, BLOCK_VALUES // found.width)
    for first in range(0, len(data), step):
        block = found.rows(slice(first, first + step))
        bad = np.argwhere(~((block >= 0) & (block < tokens) & (block == np.floor(block))))
        if bad.size:
            row, column = bad[0]
            value = float(block[row, column])
            raise InvalidValueError(
                found.place(first + row, column),
                int(value) if value.is_integer() else value,
                f"a whole number from 0 to {tokens - 1:,}",
                f"the input of the network has {tokens:,} tokens",
            )
    return DataTokens(found.label, found.data, found.batch)
