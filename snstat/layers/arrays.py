"""The arrays of one trial."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

# The values of a layer in one trial, (channels, batch, *grid), float32 or float64.
Values = npt.NDArray[np.floating[Any]]
