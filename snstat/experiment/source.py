"""The inputs that the options of a run ask for."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from snstat.errors import InvalidValueError
from snstat.network.input_law import InputLaw
from snstat.network.run_settings import DEFAULT_BATCH, DRAWN, RunSettings
from snstat.results import Run

if TYPE_CHECKING:
    from snstat.engine.inputs import Inputs


def require_data_of(run: Run, source: Inputs) -> None:
    """Raise InvalidValueError if the content of the data of `run` has changed."""
    was = run.simulation.inputs_digest
    if was is not None and source.digest() != was:
        raise InvalidValueError(
            "inputs", run.simulation.inputs, "the data of the run", "their content has changed"
        )


def source_of(
    settings: RunSettings, width: int, law: InputLaw | None = None, positions: int = 1
) -> Inputs:
    """Return the validated source of layer 0, with `width` units at all `positions` if it is drawn.

    `law` is that of drawn inputs where the options say nothing else.
    """
    from snstat.experiment.data import check_data
    from snstat.experiment.inputs import DrawnInputs
    from snstat.files.arrays import as_array
    from snstat.files.datafile import open_array

    law = law or InputLaw()
    inputs, batch = settings.inputs, settings.batch
    inputs = law.kind if inputs is None else inputs
    mean, std = settings.input_mean, settings.input_std
    prepared = {"standardize": settings.standardize, "flatten": settings.flatten}
    if isinstance(inputs, str) and inputs in DRAWN:
        for name, asked in prepared.items():
            if asked:
                raise InvalidValueError(
                    name, asked, "left out with drawn inputs", "it applies to data of your own only"
                )
        batch = DEFAULT_BATCH if batch is None else batch
        mean, std = law.mean if mean is None else mean, law.std if std is None else std
        return DrawnInputs(inputs, width, batch, mean, std)
    for name, value in (("input_mean", mean), ("input_std", std)):
        if value is not None:
            raise InvalidValueError(
                name, value, "left out with data of your own", "it applies to drawn inputs only"
            )
    if isinstance(inputs, str | os.PathLike):
        data, label = open_array(inputs), os.fspath(inputs)
    else:
        data, label = as_array(inputs), "array"
    found = check_data(data, label, batch, **prepared)
    return replace(found, positions=positions)
