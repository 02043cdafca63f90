"""Singular values of Jacobians as JSON: the result of `snstat spectrum`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from snstat import __version__
from snstat.files.saved import plain
from snstat.files.subject_form import subject_form
from snstat.results import SPECTRUM_SCHEMA, LayerSpectrum, Spectrum, SpectrumTheory


def spectra_to_json(spectra: Sequence[Spectrum]) -> Iterator[str]:
    """Yield the JSON document in pieces, one line a layer and trial; what is not finite or not
    known is null."""
    yield f'{{"schema": {_dump(SPECTRUM_SCHEMA)}, "version": {_dump(__version__)}, "runs": ['
    for number, found in enumerate(spectra):
        yield ("\n" if number == 0 else ",\n") + _dump(_head(found))[:-1] + ', "singular_values": ['
        for place, layer in enumerate(found.layers):
            rows = ",\n".join(_dump(values) for values in layer.singular_values)
            yield f"{',' if place else ''}\n[{rows}]"
        yield "]}"
    yield "]}\n"


def _head(found: Spectrum) -> dict[str, Any]:
    measures = [layer.measures(found.near_zero) for layer in found.layers]
    return {
        **subject_form(found.subject, found.simulation),
        "near_zero": found.near_zero,
        "from_layer": found.source,
        "depths": [layer.layer for layer in found.layers],
        "names": [layer.name for layer in found.layers],
        "measures": {name: [own[name] for own in measures] for name in measures[0]},
        "theory": {
            name: [layer.theory[name] for layer in found.layers]
            for name in SpectrumTheory.__dataclass_fields__
        },
        "lanczos": [_of_lanczos(layer, found.near_zero) for layer in found.layers],
    }


def _of_lanczos(layer: LayerSpectrum, near_zero: float) -> dict[str, Any] | None:
    own = layer.lanczos
    if own is None:
        return None
    _, starts, steps = own.nodes.shape
    return {
        "count": own.count,
        "starts": starts,
        "steps": steps,
        "near_zero_range": layer.near_zero_range(near_zero),
        "weights": own.weights,
        "errors": own.errors,
    }


def _dump(value: Any) -> str:
    return json.dumps(plain(value), allow_nan=False)
