"""Frozen records of predictions and measurements, shared by all parts of snstat.

Arrays over layers have shape (layers,). Entry l belongs to layer l; layer 0 is the input.
NaN in an array and None in a scalar mean "missing", and are never written as a number.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from snstat.results.base import (
    BoolArray,
    FloatArray,
    Record,
    optional,
)
from snstat.results.check import (
    CHECK_SCHEMA,
    DEFAULT_NAME,
    FEW_TRIALS,
    NO_THEORY,
    OF_BATCH_NORM,
    SOUND,
    VERDICTS,
    Check,
    Finding,
    Source,
)
from snstat.results.departures import contradictions, departures, nearly_neutral
from snstat.results.network import (
    INPUT,
    UNNAMED,
    DrawnLayers,
    GivenWeights,
    LayerSummary,
    NetworkSummary,
    Simulation,
    StackSummary,
)
from snstat.results.ranges import RANGES, ROUNDING, SHARES, within
from snstat.results.run import (
    EARLIER_SCHEMAS,
    PROPAGATION_SCHEMA,
    InputMoments,
    Layer,
    LayerMean,
    Layers,
    Outlook,
    Run,
)
from snstat.results.statistic import (
    ALSO_MEASURED,
    EVERY,
    GRADIENT,
    MEASURED,
    OF_POSITIONS,
    STATISTICS,
    Estimate,
    Statistic,
)
from snstat.results.subject import Subject

if TYPE_CHECKING:
    from snstat.results.fixedpoint import FIXEDPOINT_SCHEMA, FixedPointReport, TheoremResult
    from snstat.results.module import Axes, Call, Left, ModuleSummary, NonFinite
    from snstat.results.norms import MOST_CLASSES, DataSummary, NormClasses
    from snstat.results.phase import Phase
    from snstat.results.pictures import (
        CorrelationCurve,
        Densities,
        MapField,
    )
    from snstat.results.points import CorrelationFixedPoint, FixedPoint
    from snstat.results.samples import Samples
    from snstat.results.spectrum import (
        OFF,
        SPECTRUM_SCHEMA,
        Lanczos,
        LayerSpectrum,
        Measure,
        Spectrum,
        SpectrumTheory,
    )
    from snstat.results.weights import (
        WEIGHTS_SCHEMA,
        Rows,
        Scheme,
        Skipped,
        Spread,
        TensorWeights,
        Weights,
        WeightsSummary,
    )

# Records that few commands need, by their module, which is imported when one is first used.
_LATER = {
    name: f"snstat.results.{module}"
    for module, names in {
        "fixedpoint": ("FIXEDPOINT_SCHEMA", "FixedPointReport", "TheoremResult"),
        "module": ("Axes", "Call", "Left", "ModuleSummary", "NonFinite"),
        "norms": ("MOST_CLASSES", "DataSummary", "NormClasses"),
        "samples": ("Samples",),
        "phase": ("Phase",),
        "pictures": ("CorrelationCurve", "Densities", "MapField"),
        "points": ("CorrelationFixedPoint", "FixedPoint"),
        "spectrum": (
            "OFF", "SPECTRUM_SCHEMA", "Lanczos", "LayerSpectrum", "Measure", "Spectrum",
            "SpectrumTheory",
        ),
        "weights": (
            "WEIGHTS_SCHEMA", "Rows", "Scheme", "Skipped", "Spread", "TensorWeights", "Weights",
            "WeightsSummary",
        ),
    }.items()
    for name in names
}  # fmt: skip

__all__ = [
    "ALSO_MEASURED",
    "CHECK_SCHEMA",
    "DEFAULT_NAME",
    "EARLIER_SCHEMAS",
    "EVERY",
    "FEW_TRIALS",
    "FIXEDPOINT_SCHEMA",
    "GRADIENT",
    "INPUT",
    "MEASURED",
    "MOST_CLASSES",
    "NO_THEORY",
    "OFF",
    "OF_BATCH_NORM",
    "OF_POSITIONS",
    "PROPAGATION_SCHEMA",
    "RANGES",
    "ROUNDING",
    "SHARES",
    "SOUND",
    "SPECTRUM_SCHEMA",
    "STATISTICS",
    "UNNAMED",
    "VERDICTS",
    "WEIGHTS_SCHEMA",
    "Axes",
    "BoolArray",
    "Call",
    "Check",
    "CorrelationCurve",
    "CorrelationFixedPoint",
    "DataSummary",
    "Densities",
    "DrawnLayers",
    "Estimate",
    "Finding",
    "FixedPoint",
    "FixedPointReport",
    "FloatArray",
    "GivenWeights",
    "InputMoments",
    "Lanczos",
    "Layer",
    "LayerMean",
    "LayerSpectrum",
    "LayerSummary",
    "Layers",
    "Left",
    "MapField",
    "Measure",
    "ModuleSummary",
    "NetworkSummary",
    "NonFinite",
    "NormClasses",
    "Outlook",
    "Phase",
    "Record",
    "Rows",
    "Run",
    "Samples",
    "Scheme",
    "Simulation",
    "Skipped",
    "Source",
    "Spectrum",
    "SpectrumTheory",
    "Spread",
    "StackSummary",
    "Statistic",
    "Subject",
    "TensorWeights",
    "TheoremResult",
    "Weights",
    "WeightsSummary",
    "contradictions",
    "departures",
    "nearly_neutral",
    "optional",
    "within",
]


def __getattr__(name: str) -> Any:
    """Import a record when it is first used (PEP 562)."""
    if name not in _LATER:
        raise AttributeError(f"module 'snstat.results' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LATER[name]), name)
    return value
