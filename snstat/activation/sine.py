"""The sine of implicit neural representations."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from snstat.activation.base import Activation, FloatArray, Parameter, coerced


def sine_with(frequency: float, name: str = "sine") -> Activation:
    """Return sin(frequency·x); weights of variance 2/(frequency²·fan_in) preserve the signal."""

    def phase(x: FloatArray) -> FloatArray:
        # An infinite argument has no sine.
        with np.errstate(over="ignore"):
            angle = frequency * x
        return np.where(np.isfinite(angle), angle, np.nan)

    return Activation(
        name,
        "sin(x)" if frequency == 1.0 else f"sin({frequency:g}·x)",
        "Sitzmann, Martel, Bergman, Lindell, Wetzstein, arXiv:2006.09661",
        coerced(lambda x: np.sin(phase(x))),
        coerced(lambda x: frequency * np.cos(phase(x))),
        coerced(lambda x: -frequency * frequency * np.sin(phase(x))),
        odd=True,
        bend=1.0 / frequency,
        default_init="he_uniform",
        default_gain=None if frequency == 1.0 else math.sqrt(2.0) / frequency,
        form=("sine", frequency),
        parameters=(frequency,),
    )


SINE = replace(
    sine_with(1.0),
    parameter=Parameter(
        "frequency", 1e-3, 1e4, lambda _, frequency, name: sine_with(frequency, name)
    ),
)
