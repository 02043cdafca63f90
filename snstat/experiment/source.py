"""The inputs that the options of a run ask for."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from snstat.errors import InvalidValueError
from snstat.network.input_law import InputLaw
from snstat.network.run_settings import DEFAULT_BATCH, DRAWN, RunSettings
from snstat.results import Run

if TYPE_CHECKING:
    import numpy.typing as npt

    from snstat.engine.inputs import Inputs


def require_data_of(run: Run, source: Inputs) -> None:
    """Raise InvalidValueError if the content of the data of `run` has changed."""
    was = run.simulation.inputs_digest
    if was is not None and source.digest() != was:
        raise InvalidValueError(
            "inputs", run.simulation.inputs, "the data of the run", "their content has changed"
        )


def tokens_of(settings: RunSettings, tokens: int, positions: int) -> Inputs:
    """Return the validated source of so many `tokens` at all `positions`, drawn if the options name
    no data.

    Raises InvalidValueError for options of numbers that are no tokens, and for other numbers.
    """
    from snstat.experiment.inputs import UNIFORM, DrawnTokens
    from snstat.experiment.tokens import check_tokens

    for name in ("input_mean", "input_std", "standardize"):
        value = getattr(settings, name)
        if value is not None and value is not False:
            raise InvalidValueError(name, value, "left out with tokens, which are no measurements")
    inputs, batch = settings.inputs, settings.batch
    if inputs is None or (isinstance(inputs, str) and inputs == UNIFORM):
        if settings.flatten:
            raise InvalidValueError("flatten", True, "left out with drawn inputs")
        return DrawnTokens(positions, batch or DEFAULT_BATCH, tokens)
    if isinstance(inputs, str) and inputs in DRAWN:
        bound = f"{UNIFORM} for tokens, or a file of whole numbers"
        raise InvalidValueError("inputs", inputs, bound)
    data, label = _opened(inputs)
    return check_tokens(data, label, batch, tokens, flatten=settings.flatten)


def source_of(
    settings: RunSettings,
    width: int,
    law: InputLaw | None = None,
    grid: tuple[int, ...] = (),
) -> Inputs:
    """Return the validated source of layer 0, with `width` units at all positions of the `grid`.

    `law` is that of drawn inputs where the options say nothing else.
    """
    from snstat.experiment.data import check_data
    from snstat.experiment.inputs import DrawnInputs

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
    data, label = _opened(inputs)
    positions = math.prod(grid)
    found = check_data(data, label, batch, **prepared, sample=(*grid, width // positions))
    return replace(found, positions=positions)


def _opened(inputs: Any) -> tuple[npt.NDArray[Any], str]:
    """Return data of a file or in memory, and what the record calls them."""
    from snstat.files.arrays import as_array
    from snstat.files.datafile import open_array

    if isinstance(inputs, str | os.PathLike):
        return open_array(inputs), os.fspath(inputs)
    return as_array(inputs), "array"
