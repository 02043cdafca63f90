"""Traces of a PyTorch module over several trials."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn

from snstat.engine.tensor import MEASURED_OF_TENSORS
from snstat.errors import SnstatError
from snstat.results.module import ModuleSummary, NonFinite
from snstat.sources.calls.axes import Reader
from snstat.sources.calls.inputs import GivenInputs, Inputs
from snstat.sources.calls.row import Row
from snstat.sources.calls.samples import DEFAULT_BATCH, batch_of, chosen
from snstat.sources.calls.seeds import INPUTS, MODEL, READ_OUT, SAMPLES, seed_of
from snstat.sources.calls.target import load_target, user_code, working_directory
from snstat.sources.calls.traced import Traced, calls_of, gradients_of, sample_sizes, values_of
from snstat.sources.torch import modules as own_modules
from snstat.sources.torch.asked import Asked
from snstat.sources.torch.beside import Beside
from snstat.sources.torch.called import ByPath
from snstat.sources.torch.functions import watched
from snstat.sources.torch.hubs import load
from snstat.sources.torch.inputs import arguments, content, draw, inputs_of
from snstat.sources.torch.maker import Maker, name_of
from snstat.sources.torch.measure import measure_tensor, square_of
from snstat.sources.torch.nonfinite import Watch
from snstat.sources.torch.probe import probe
from snstat.sources.torch.read_out import outputs_of, send_back
from snstat.sources.torch.restore import random_states, restored
from snstat.sources.torch.rows import Recorder, input_row, measure_gradient
from snstat.sources.torch.units import UnitsOfBoth

Target: TypeAlias = str | nn.Module | Callable[..., nn.Module]


def trace_module(
    target: Target,
    *,
    settings: Mapping[str, Any] | None = None,
    inputs: GivenInputs = None,
    batch: int | None = None,
    trials: int = 4,
    seed: int = 0,
    dtype: str | None = None,
    mode: str = "train",
    dropout: str = "keep",
    backward: bool = True,
    loss: str | Callable[[Any], Any] | None = None,
    output: str | None = None,
    only: Sequence[str] = (),
    leaves: bool = False,
    ops: bool = False,
    axes: Mapping[str, str] | None = None,
    weights: str | os.PathLike[str] | None = None,
    max_bytes: int | None = None,
    device: str | None = None,
) -> Traced:
    """Run a module `trials` times, and return the statistics of what every call returned.

    `target` is a function that builds the module, called with `settings` in every trial after
    `torch.manual_seed`; or a module, whose trials differ in their inputs only and which is left as
    it was; or the name of one of these, "package.module:name". `inputs` are texts such as
    "Bx3x32x32", in order or by name, or arrays; None for the module's own `example_inputs()`.
    `batch` are the samples of a trial, None for 8 or all of smaller arrays.

    `dtype` and `device` (None: as the module has them), `mode` ("train" or "eval") and `dropout`
    ("keep" or "off") say how it runs. With `backward`, gradients of a random read-out of all
    outputs, or of those that match the glob `output`, or of `loss` of the output, are measured too.
    `only` are globs of the paths that have rows, `leaves` keeps modules without children, `ops`
    adds the functions that modules call, and `axes` maps globs to axes, "S,P,U". `weights` is a
    file of weights that the module gets, with tensors of at most `max_bytes`; trials then differ in
    their inputs only.

    Raises SnstatError for bad arguments, and UserCodeError if the user's own code fails.
    """
    asked = Asked(seed, dtype, mode, dropout, backward, output, tuple(only), leaves, device, ops)
    name = target if isinstance(target, str) else name_of(target)
    with working_directory():
        found = load(target) if isinstance(target, str) else target
        wanted = load_target(loss) if isinstance(loss, str) else loss
        own = Maker(name, found, dict(settings or {}), weights, max_bytes)
        with random_states():
            run = _Trace(own, asked, inputs, batch, wanted, axes or {})
            for trial in range(trials):
                run.trial(trial)
            named = loss if isinstance(loss, str) or loss is None else name_of(loss)
            return run.traced(trials, named)


@dataclass
class _Trace:
    """A trace while it runs."""

    maker: Maker
    asked: Asked
    given: GivenInputs
    wanted_batch: int | None
    loss: Callable[[Any], Any] | None
    given_axes: Mapping[str, str]
    inputs: Inputs | None = None
    batch: int = DEFAULT_BATCH
    input_row: Row | None = None
    references: list[float] = field(default_factory=list)
    called: set[str] = field(default_factory=set)
    paths: dict[str, nn.Module] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    described: dict[str, Any] = field(default_factory=dict)
    nonfinite: NonFinite | None = None
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.recorder = Recorder(backward=self.asked.backward)
        whole = self.loss is None and self.asked.output is None
        drawn = self.maker.builds and self.maker.weights is None
        self.beside = Beside(self.asked.mode, drawn=drawn, gradients=whole)

    def trial(self, trial: int) -> None:
        """Run one trial."""
        made = self.maker.make(seed_of(self.asked.seed, trial, MODEL))
        with self._ready(made) as model:
            first = self.recorder.reader is None
            if first:
                self._look(model)
            self.beside.take(model, trial)
            self._run(model, trial)
            if first and self.asked.ops:
                known = [*own_modules.named(model)[0], *self.called]
                self.asked.require_matches(self.given_axes, known)
        if self.nonfinite is None and not all(
            row.values.get(trial, (True,))[0] for row in self.recorder.order
        ):
            self.nonfinite = self._replay(trial)

    @contextmanager
    def _ready(self, made: nn.Module) -> Iterator[nn.Module]:
        """Cast a module, set its mode, and complete it; one that is not our own is put back."""
        if self.inputs is None:
            with user_code(self.maker.name):
                self.inputs = inputs_of(self.given, made)
            self.batch = batch_of(self.inputs, arguments(made), self.wanted_batch)
        if own_modules.lazy(made):
            if not self.maker.builds:
                raise SnstatError(
                    f"{self.maker.name} has lazy parameters; name a function that builds it"
                )
            place = torch.float32, torch.device("cpu")
            self._complete(made.eval(), self.inputs, place)
        model = own_modules.cast(made, self.asked.dtype, self.asked.device, own=self.maker.owns)
        with ExitStack() as stack:
            if not self.maker.builds:
                stack.enter_context(restored(model))
            stack.enter_context(own_modules.uncompiled())
            own_modules.set_mode(model, self.asked.mode, self.asked.dropout)
            yield model

    def _complete(self, model: nn.Module, inputs: Inputs, place: tuple[Any, Any]) -> None:
        """Run a module once, so that lazy parameters get their shapes."""
        positional, by_name = draw(inputs, np.arange(2), torch.Generator().manual_seed(0), *place)
        with torch.no_grad(), user_code(self.maker.name):
            model(*positional, **by_name)

    def _look(self, model: nn.Module) -> None:
        """Probe the axes of the first module, and describe it."""
        if self.inputs is None:
            raise AssertionError("inputs are read first")
        modules, self.aliases = own_modules.named(model)
        if not self.asked.ops:
            self.asked.require_matches(self.given_axes, modules)
        place = own_modules.place_of(model, self.asked.dtype, self.asked.device)
        size = sum(parameter.numel() for parameter in model.parameters())
        with restored(model), random_states(), user_code(self.maker.name):
            probed = probe(model, modules, self.inputs, place, size=size, ops=self.asked.ops)
        self.recorder.reader = Reader(
            probed, self.batch, self.given_axes, UnitsOfBoth(), ByPath(modules)
        )
        names = arguments(model)
        self.described = {
            "inputs": self.inputs.described(names),
            # What a module offers itself is its own, and may be drawn anew.
            "inputs_digest": None if self.given is None else content(self.inputs, names),
            "parameters": size,
            "device": place[1].type,
        }
        words = "is scripted, and its modules have no rows"
        self.notes += [f"{path} {words}" for path in own_modules.scripted(model)]
        self.beside.look(model, self.aliases, self.inputs, self._draw(model, 0))

    def _run(self, model: nn.Module, trial: int) -> None:
        """Run a module forward and back."""
        modules, _ = own_modules.named(model)
        rows = own_modules.selected(modules, self.asked.only, leaves=self.asked.leaves)
        self.paths |= rows
        positional, by_name = self._draw(model, trial)
        functions = self.asked.functions(modules, self.recorder.seen)
        watch = watched(rows, self.recorder.seen, functions)
        self.recorder.begin(trial)
        with watch as calls, torch.set_grad_enabled(self.asked.backward):
            arguments = self._entered(trial, positional, by_name)
            try:
                with user_code(self.maker.name):
                    output = model(*arguments[0], **arguments[1])
                if self.asked.backward:
                    self._back(trial, output)
            finally:
                self.called |= {*calls}
                self.recorder.end()
        self._measure_input(trial, self._first(positional, by_name))

    def _draw(self, model: nn.Module, trial: int) -> tuple[list[Any], dict[str, Any]]:
        if self.inputs is None:
            raise AssertionError("inputs are read before the first run")
        place = own_modules.place_of(model, self.asked.dtype, self.asked.device)
        generator = torch.Generator().manual_seed(seed_of(self.asked.seed, trial, INPUTS))
        seed = seed_of(self.asked.seed, trial, SAMPLES)
        rows = chosen(self.inputs, self.batch, seed)
        return draw(self.inputs, rows, generator, *place)

    def _entered(
        self, trial: int, positional: list[Any], by_name: dict[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return what the module is called with: copies, because a module may change its inputs in
        place, and those of leaves cannot be. The first floating one is row 0."""
        first = self._first(positional, by_name)
        if first is not None and self.input_row is None:
            self.input_row = input_row(first)
        row = self.input_row

        def entered(tensor: torch.Tensor) -> torch.Tensor:
            if not tensor.is_floating_point():
                return tensor
            if not self.asked.backward:
                return tensor.clone()
            own = tensor.detach().requires_grad_().clone()
            if row is not None and tensor is first:
                measure_gradient(row, own, trial)
            return own

        return [entered(value) for value in positional], {
            name: entered(value) for name, value in by_name.items()
        }

    def _first(self, positional: list[Any], by_name: dict[str, Any]) -> torch.Tensor | None:
        """Return the first floating input."""
        values = (*positional, *by_name.values())
        return next((value for value in values if value.is_floating_point()), None)

    def _measure_input(self, trial: int, values: torch.Tensor | None) -> None:
        """Measure row 0. Its units are known only once the calls were seen."""
        reader = self.recorder.reader
        if values is None or self.inputs is None or reader is None or self.input_row is None:
            return
        axis = next(source.batch_axis() for source in self.inputs.sources if source.floating)
        axes = reader.input_axes(tuple(values.shape), axis)
        self.input_row.axes = axes
        self.input_row.values[trial] = measure_tensor(values, axes, self.batch)

    def _back(self, trial: int, output: Any) -> None:
        """Run backward, and note the squared norm of the gradient at the outputs."""
        tensors = outputs_of(output, self.asked.output)
        squares: list[float] = []
        for tensor in tensors:
            tensor.register_hook(lambda gradient: squares.append(square_of(gradient)))
        generator = torch.Generator().manual_seed(seed_of(self.asked.seed, trial, READ_OUT))
        with user_code(self.maker.name):
            send_back(output, tensors, self.loss, generator)
        self.references.append(sum(squares))

    def _replay(self, trial: int) -> NonFinite | None:
        """Run a trial again, and find the first call whose inputs or outputs are not finite."""
        made = self.maker.make(seed_of(self.asked.seed, trial, MODEL))
        with self._ready(made) as model:
            positional, by_name = self._draw(model, trial)
            modules, _ = own_modules.named(model)
            watch = Watch(modules, trial, ops=self.asked.ops)
            with watch, torch.no_grad(), user_code(self.maker.name):
                model(*positional, **by_name)
        return watch.found

    def traced(self, trials: int, loss: str | None) -> Traced:
        """Return what was found."""
        rows = self.recorder.finished()
        first = self.input_row or input_row(None)
        everything = [first, *rows]
        finite, values = values_of(everything, trials)
        log_gradient = None
        if self.asked.backward:
            log_gradient = gradients_of(everything, self.references)
            if not any(row.squares for row in everything):
                self.notes.append(
                    "no gradients: no output depends on a parameter or input that has one"
                )
        self.notes += [f"{path} is the same module as {own}" for path, own in self.aliases.items()]
        mapped = self.beside.mapped(everything, trials, self.notes)
        summary = ModuleSummary(
            framework="torch",
            framework_version=str(torch.__version__),
            mode=self.asked.mode,
            dropout=self.asked.dropout,
            input_shape=sample_sizes(first),
            rows=calls_of(rows, self.batch, backward=self.asked.backward, gates=self.beside.gates),
            loss=loss,
            nonfinite=self.nonfinite,
            not_called=tuple(path for path in self.paths if path not in self.called),
            skipped=tuple(self.recorder.skipped.values()),
            notes=(*self.maker.notes, *self.notes),
            **self.maker.described(),
            **self.described,
        )
        names = MEASURED_OF_TENSORS
        return Traced(summary, self.batch, finite, values, names, log_gradient, mapped)
