"""A module to trace, and the run that its trace is."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from snstat.errors import InvalidValueError, escaped, quoted
from snstat.experiment.trace_settings import Target, TraceSettings
from snstat.experiment.traced import Traced, traced_run
from snstat.files.datafile import open_arrays
from snstat.results import ModuleSummary, Run
from snstat.sources.mapped import Mapped
from snstat.values.option import again, option, taking
from snstat.values.tracing import DTYPES, TRACE

FILES = (".npz", ".npy")


@dataclass(frozen=True)
class TracePlan:
    """A validated request: a module, or the function that builds it with the arguments `set`, or
    the Python name of one of these, and how it is traced. `given` are those of the settings that
    were said, by name."""

    target: Any
    settings: TraceSettings = field(default_factory=TraceSettings)
    set: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)

    def seeded(self, seed: int) -> TracePlan:
        """Return the same plan with another seed."""
        return replace(self, settings=replace(self.settings, seed=seed))

    @property
    def inputs(self) -> None:
        """Nothing that theory knows: a module is called with arguments of any kind."""

    def moments(self) -> None:
        """There are none of inputs that only the module knows."""

    @property
    def subject(self) -> None:
        """Nothing: which calls a module makes is known when it has run."""

    @property
    def trials(self) -> int:
        """The number of trials."""
        return self.settings.trials

    @property
    def steps(self) -> int:
        """The parts of the work that a progress bar counts."""
        return self.trials

    @property
    def sampler(self) -> str:
        """What draws the networks."""
        return TRACE

    def warm(self, notice: Callable[[str], None] | None = None) -> None:
        """Prepare nothing: kernels are compiled when the first tensor is measured."""

    def require_framework(self) -> None:
        """Raise SnstatError where a package is missing that the trace needs."""
        _tracer(self.target)

    def run(self, progress: Callable[[int], None] | None = None) -> Run:  # noqa: ARG002  # as plans
        """Trace the module. This runs the user's code.

        Raises SnstatError without its framework, and for what cannot be traced.
        """
        return self.traced()[0]

    def traced(self, notice: Callable[[str], None] | None = None) -> tuple[Run, Mapped | None]:
        """Trace the module, and return the layers that theory knows too; see `run`. `notice` is
        told what theory takes where that is much."""
        settings = self.settings
        if settings.weights is None and settings.max_bytes is not None:
            bound = "left out without weights, which it is about"
            raise InvalidValueError("max_bytes", settings.max_bytes, bound)
        inputs, axes = inputs_of(settings), axes_of(settings)
        traced = _tracer(self.target)(
            self.target,
            settings=self.set,
            inputs=inputs,
            batch=settings.batch,
            trials=settings.trials,
            seed=settings.seed,
            dtype=settings.dtype,
            mode=settings.mode,
            dropout=settings.dropout,
            backward=settings.backward,
            loss=settings.loss,
            output=settings.read_out,
            only=settings.only,
            leaves=settings.leaves,
            ops=settings.ops,
            axes=axes,
            weights=settings.weights,
            max_bytes=settings.max_bytes,
            device=settings.device,
        )
        run = traced_run(
            traced,
            inputs=described_inputs(traced.summary.inputs, settings),
            seed=settings.seed,
            dtype=settings.dtype or dtype_of(traced.summary),
            keep_trials=settings.keep_trials,
            notice=notice,
        )
        return replace(run, subject=_plain(run.module or traced.summary)), traced.mapped


def _tracer(target: Any) -> Callable[..., Traced]:
    """Return what traces a target. Raises SnstatError where its framework is not installed."""
    from snstat.sources.tracers import tracer_of

    return tracer_of(target)


def inputs_of(settings: TraceSettings) -> Any:
    """Return what the module is called with: texts and arrays, in order or by name; None for the
    module's own examples.

    Raises InvalidValueError for texts without a name beside a file, whose arrays have names.
    """
    typed, given = settings.input, settings.inputs
    file = _file_of(given)
    if file is not None:
        arrays = open_arrays(file)
        if "" in arrays and not typed:  # that of a .npy file has no name
            return [arrays[""]]
        named = dict(entry.partition("=")[::2] for entry in typed)
        for name, entry in zip(named, typed, strict=False):
            if "=" not in entry or not name:
                bound = "NAME=SPEC beside --inputs, whose arrays have names"
                raise InvalidValueError("input", entry, bound)
        return arrays | named
    if given is not None and typed:
        raise InvalidValueError("input", typed[0], "left out beside inputs")
    if given is not None:
        return given
    return list(typed) or None


def _file_of(given: Any) -> str | None:
    """Return the path of a file of arrays, None for inputs of any other kind."""
    if isinstance(given, os.PathLike) or (isinstance(given, str) and given.lower().endswith(FILES)):
        return os.fspath(given)
    return None


def described_inputs(inputs: Mapping[str, str], settings: TraceSettings) -> dict[str, str]:
    """Return what a module is called with, by argument, with the file that arrays are from."""
    file = _file_of(settings.inputs)
    if file is None:
        return dict(inputs)
    typed = {entry.partition("=")[0] for entry in settings.input}
    # A record holds printable text.
    source = f" of {escaped(file)}"
    return {name: text if name in typed else text + source for name, text in inputs.items()}


def axes_of(settings: TraceSettings) -> dict[str, str]:
    """Return the axes that were given, by globs of paths."""
    if isinstance(settings.axes, Mapping):
        return dict(settings.axes)
    found = {}
    for entry in settings.axes:
        glob, equal, axes = entry.partition("=")
        if not (glob and equal and axes):
            raise InvalidValueError("axes", entry, "GLOB=AXES, such as layer*=S,U,P,P")
        found[glob] = axes
    return found


def dtype_of(module: ModuleSummary) -> str:
    """Return the precision that most of what was called has."""
    seen = Counter(row.dtype for row in module.rows if row.dtype in DTYPES)
    return seen.most_common(1)[0][0] if seen else DTYPES[0]


def _plain(module: ModuleSummary) -> ModuleSummary:
    """Return the record with arguments that a file can hold: others as what they print."""
    return replace(
        module, settings={str(key): _json(value) for key, value in module.settings.items()}
    )


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_json(entry) for entry in value]
    return value if value is None or isinstance(value, bool | int | float | str) else quoted(value)


@dataclass(frozen=True)
class _Target:
    """The first argument, which comes before those of the settings."""

    target: Any = option(Target(), "What is traced.")


@dataclass(frozen=True)
class TraceCall(TraceSettings, _Target):
    """The arguments of `snstat.trace`."""

    inputs: Any = again(TraceSettings, "inputs")
    set: Mapping[str, Any] | None = field(default=None, kw_only=True)

    def plan(self) -> TracePlan:
        """Return the plan that the arguments describe."""
        names = TraceSettings.__dataclass_fields__
        settings = TraceSettings(**{name: getattr(self, name) for name in names})
        if self.target is None:
            bound = "a module, a function that builds one, or the Python name of one of these"
            raise InvalidValueError("target", None, bound)
        if not isinstance(self.set, Mapping | None):
            raise InvalidValueError("set", self.set, "a mapping of names to values")
        return TracePlan(self.target, settings, self.set or {})


@taking(TraceCall)
def trace(call: TraceCall) -> Run:
    """Run a PyTorch module on random inputs and report what every call of its parts returned.

    The record is that of `snstat.propagate`: `run["layer1.relu#2"].second_moment.estimate`, with
    the module as `run.module`. It needs PyTorch: pip install 'snstat[torch]'. Models of Keras,
    modules of Flax NNX and ONNX files are traced too, with packages of their own.

    Theory stands beside the estimates as far as the module consists of layers that snstat knows,
    with weights drawn by a named initialiser; `run.module.theory_ends` says where it ends and why.
    There is no z for a module as it is, whose trials do not draw weights.

    Parameters
    ----------
    target : str, function or module
        A function that returns a `torch.nn.Module`, called anew in every trial; or a module, which
        is left as it is, and gets new inputs in every trial; or the Python name of one of them,
        "package.module:name", which is imported. Also a Keras model, a module of Flax NNX, their
        names or those of functions after "keras:" or "nnx:", or the path of an .onnx file.
    inputs : str, mapping, sequence, path or array, optional
        What the module is called with, by name or in order: texts such as "Bx3x32x32" (normal, with
        B for the batch) or "tokens:50257:Bx128", or arrays of samples; or the path of a .npz file.
        By default what the module's `example_inputs()` returns.
    set : mapping, optional
        Arguments of the function.
    batch, trials, seed : int
        Samples per trial, independent trials (8 and 4), and the seed of all random numbers. Of
        arrays with more samples every trial takes its own random subset, the same samples of all
        arrays; by default `batch` is at most their number.
    weights : path, optional
        A file of weights that the module gets, by the names of its state dict: .safetensors, .pt,
        .npz. All trials have these weights, and differ in their inputs only.
    max_bytes : int, optional
        The largest tensor of `weights` that is read; half of the free memory by default.
    mode : str
        "train" or "eval".
    dropout : str
        "keep", or "off" to drop nothing in train mode.
    backward : bool
        Measure `gradient` too. Default: True.
    loss : str or function, optional
        A function of the module's output. By default a random read-out, independent for every
        sample, position and unit.
    read_out : str, optional
        A glob of the outputs that the random read-out takes.
    only : sequence of str
        Globs of the paths that have rows.
    leaves : bool
        Only modules that contain no others.
    ops : bool
        Also the functions that the code of modules calls: "layer1:add#2" is the second sum in the
        code of layer1.
    axes : mapping or sequence of str
        A letter for each axis, samples S, positions P, units U, by globs of paths:
        {"layer*": "S,U,P,P"}.
    dtype, device : str, optional
        By default as the module has them.
    keep_trials : bool
        Keep the values of every trial.

    Returns
    -------
    Run
        Layer 0 is the first floating input, the others are calls in the order in which they ended.

    Raises
    ------
    snstat.errors.SnstatError
        Without its framework, for an argument out of bounds, and for what cannot be traced.
    """
    return call.plan().run()
