"""Traces of a model of any framework but PyTorch over several trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from snstat.engine.tensor import MEASURED_OF_TENSORS
from snstat.results.module import ModuleSummary
from snstat.results.network import INPUT
from snstat.sources.calls.axes import BATCHES, Key, Pair, Reader, require_matches
from snstat.sources.calls.content import content_of
from snstat.sources.calls.draws import draw, inputs_of
from snstat.sources.calls.framework import Array, Framework, Gradients, Part
from snstat.sources.calls.inputs import GivenInputs, Inputs
from snstat.sources.calls.measure import measure_array
from snstat.sources.calls.order import merged_in, mixed
from snstat.sources.calls.recorder import Recorder, plain
from snstat.sources.calls.row import Row
from snstat.sources.calls.samples import DEFAULT_BATCH, batch_of, chosen
from snstat.sources.calls.seeds import INPUTS, MODEL, READ_OUT, SAMPLES, seed_of
from snstat.sources.calls.target import user_code
from snstat.sources.calls.traced import Traced, calls_of, gradients_of, sample_sizes, values_of
from snstat.sources.calls.units import Sizes, Units


def trace_framework(
    framework: Framework,
    *,
    inputs: GivenInputs = None,
    batch: int | None = None,
    trials: int = 4,
    seed: int = 0,
    dropout: str = "keep",
    backward: bool = True,
    only: Sequence[str] = (),
    leaves: bool = False,
    axes: Mapping[str, str] | None = None,
) -> Traced:
    """Run a model `trials` times, and return the statistics of what every call returned: see
    trace_module of PyTorch, which has the same arguments.

    Raises SnstatError for bad arguments, and UserCodeError if the user's own code fails.
    """
    run = _Trace(framework, seed, backward=backward)
    run.look(inputs, batch, axes or {}, only, leaves=leaves)
    for trial in range(trials):
        run.trial(trial)
    return run.traced(trials, dropout)


class _Trace:
    """A trace while it runs."""

    def __init__(self, framework: Framework, seed: int, *, backward: bool) -> None:
        self.framework, self.seed, self.backward = framework, seed, backward
        self.batch = DEFAULT_BATCH
        self.recorder = Recorder(framework.array)
        self.input_row = Row(INPUT, 1, "", INPUT, (), "", None)
        self.references: list[float] = []
        self.inputs = Inputs((), {})
        self.paths: list[str] = []
        self.notes: list[str] = []
        self.described: dict[str, Any] = {}

    def look(
        self,
        given: GivenInputs,
        batch: int | None,
        axes: Mapping[str, str],
        only: Sequence[str],
        *,
        leaves: bool,
    ) -> None:
        """Read the inputs, probe the axes, and describe the model."""
        framework = self.framework
        with framework.model(seed_of(self.seed, 0, MODEL)) as model:
            with user_code(framework.target):
                self.inputs = inputs_of(given, framework, model)
            names = framework.arguments(model)
            self.batch = batch_of(self.inputs, names, batch)
            probed, seen = self._probe(model)
            own, aliases = framework.parts(model)
            parts = seen | {part.path: part for part in own}
            self.described = {
                "inputs": self.inputs.described(names),
                # What a model offers itself is its own, and may be drawn anew.
                "inputs_digest": None if given is None else content_of(self.inputs.named(names)),
                "parameters": framework.parameters(model),
                "device": framework.device(model),
            }
        require_matches(axes, parts)
        self.paths = selected(parts, only, leaves=leaves)
        self.recorder = Recorder(framework.array, self.paths if only or leaves else None)
        self.recorder.reader = Reader(probed, self.batch, axes, Units(_decided), parts)
        self.notes += [f"{path} is the same module as {name}" for path, name in aliases.items()]

    def _probe(self, model: Any) -> tuple[dict[Key, Pair] | None, dict[str, Part]]:
        """Return the shape of every array for both batches, None if the model refuses them, and
        what was called. Arrays of which the rows mix samples are left out."""
        found = []
        parts: dict[str, Part] = {}
        for batch in BATCHES:
            shapes = Recorder(self.framework.array)
            try:
                arguments = draw(self.inputs, np.arange(batch), 0, self.framework)
                with user_code(self.framework.target):
                    self.framework.run(model, arguments, _Shapes(shapes, parts), Gradients(None))
            except Exception:  # noqa: BLE001  # whatever the user's code raises; the trace will tell
                return None, parts
            found.append({row.key: row.shape for row in shapes.rows.order})
        small, large = found
        probed = {key: (small.get(key), large.get(key)) for key in small | large}
        merged = merged_in(probed)
        left_out = mixed(self.framework, model, self.inputs, merged) if merged else ()
        return {key: pair for key, pair in probed.items() if key not in left_out}, parts

    def trial(self, trial: int) -> None:
        """Run one trial."""
        framework, recorder = self.framework, self.recorder
        rows = chosen(self.inputs, self.batch, seed_of(self.seed, trial, SAMPLES))
        arguments = draw(self.inputs, rows, seed_of(self.seed, trial, INPUTS), framework)
        first = None if arguments.first is None else arguments.first.copy()
        read_out = np.random.default_rng(seed_of(self.seed, trial, READ_OUT))
        gradients = Gradients(read_out if self.backward else None)
        with framework.model(seed_of(self.seed, trial, MODEL)) as model:
            recorder.begin(trial)
            with user_code(framework.target):
                framework.run(model, arguments, recorder, gradients)
        if first is not None:
            self._measure_input(trial, first)
        for row in (self.input_row, *recorder.rows.order):
            if row.key in gradients.squares:
                row.squares[trial] = gradients.squares[row.key]
        self.references.append(gradients.reference)

    def _measure_input(self, trial: int, values: Array) -> None:
        """Measure row 0. Its units are known only once the calls were seen."""
        row, reader = self.input_row, self.recorder.reader
        if reader is None:
            raise AssertionError("axes are read before the first trial")
        sample = next(source.batch_axis() for source in self.inputs.sources if source.floating)
        row.shape, row.dtype = values.shape, str(values.dtype)
        row.axes = reader.input_axes(values.shape, sample)
        row.values[trial] = measure_array(plain(values), row.axes, self.batch)

    def traced(self, trials: int, dropout: str) -> Traced:
        """Return what was found."""
        framework, recorder = self.framework, self.recorder
        rows = recorder.rows.order
        everything = [self.input_row, *rows]
        finite, values = values_of(everything, trials)
        backward = self.backward and any(row.squares for row in everything)
        log_gradient = gradients_of(everything, self.references) if backward else None
        summary = ModuleSummary(
            target=framework.target,
            settings=dict(framework.settings),
            framework=framework.name,
            framework_version=framework.version,
            mode=framework.mode,
            dropout=dropout,
            trials_of="model" if framework.builds else "inputs",
            input_shape=sample_sizes(self.input_row),
            rows=calls_of(rows, self.batch, backward=backward),
            nonfinite=recorder.nonfinite,
            not_called=tuple(path for path in self.paths if path not in recorder.called),
            skipped=tuple(recorder.skipped.values()),
            notes=(*self.notes, *framework.notes),
            **self.described,
        )
        return Traced(summary, self.batch, finite, values, MEASURED_OF_TENSORS, log_gradient)


class _Shapes:
    """Sees calls as a recorder does, and notes what was called."""

    def __init__(self, recorder: Recorder, parts: dict[str, Part]) -> None:
        self.before, self.failed = recorder.before, recorder.failed
        self._recorder, self._parts = recorder, parts

    def after(self, part: Part, arguments: Any, output: Any) -> list[tuple[Row, Any]]:
        """See what a call returned."""
        self._parts[part.path] = part
        return self._recorder.after(part, arguments, output)


def _decided(part: Part, shape: Sizes) -> int | None:
    """Return the axis of units that a kind decides."""
    return None if part.unit is None else part.unit % len(shape)


def selected(parts: Mapping[str, Part], only: Sequence[str], *, leaves: bool) -> list[str]:
    """Return the paths that have rows. Raises InvalidValueError for a glob that matches none."""
    require_matches(only, parts, "only")
    return [
        path
        for path, part in parts.items()
        if not (leaves and part.contains)
        and (not only or any(fnmatchcase(path, glob) for glob in only))
    ]
