"""The options of a trace: what a module is called with, how it runs, and what is measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snstat.errors import InvalidValueError
from snstat.limits import MAX_BATCH, MAX_SEED, MAX_TRIALS
from snstat.network.run_settings import DTYPE_ALIASES, Dtype
from snstat.values.kinds import File, Flag, Kind, Name, Texts, Whole
from snstat.values.largest import HELP, MAX_BYTES, SHOWN
from snstat.values.option import Settings, single
from snstat.values.tracing import DROPOUT, DTYPES, HF, MODES, TIMM

# Before the Python names of functions that are not PyTorch's.
FRAMEWORKS = ("keras", "nnx")
ONNX = ".onnx"
SHORT_NAMES = {"half": "float16", "f2": "float16", "bf16": "bfloat16", "fp16": "float16"}


class ModuleName(Kind):
    """What a Python name says: "package.module:name"."""

    name = "target"
    words = 'a Python name, "package.module:name"'

    def check(self, name: str, value: Any) -> Any:
        """See Kind. In Python, an object itself."""
        if isinstance(value, str) and not is_module(value):
            raise InvalidValueError(name, value, self.words)
        return value


class Target(ModuleName):
    """What is traced: a Python name, perhaps after that of a framework, or an ONNX file."""

    words = (
        'a Python name, "package.module:name", perhaps after keras: or nnx:, the path of a .onnx'
        " file, or timm: or hf:"
    )

    def check(self, name: str, value: Any) -> Any:
        """See Kind. In Python, an object itself."""
        if isinstance(value, str) and is_onnx(value):
            return value
        return super().check(name, value)


class Device(Kind):
    """The name of a device: "cpu", "cuda:1"."""

    name = "device"

    def check(self, name: str, value: Any) -> str:  # noqa: ARG002  # torch knows the names
        """See Kind."""
        return str(value)


class Several(Texts):
    """One text or a list of them."""

    def read(self, name: str, text: str) -> str:  # noqa: ARG002  # see Kind
        """Return one of them."""
        return text

    def check(self, name: str, value: Any) -> Any:
        """See Kind."""
        texts = (value,) if isinstance(value, str) else value
        if not isinstance(texts, list | tuple) or not all(isinstance(t, str) for t in texts):
            raise InvalidValueError(name, value, self.words)
        return tuple(texts)


class GivenAxes(Several):
    """Axes by globs: texts "GLOB=AXES", and in Python a mapping too."""

    def check(self, name: str, value: Any) -> Any:
        """See Kind."""
        if not isinstance(value, Mapping):
            return super().check(name, value)
        if not all(isinstance(text, str) for pair in value.items() for text in pair):
            raise InvalidValueError(name, value, "a mapping of strings to strings")
        return dict(value)


class Glob(Kind):
    """A pattern of names."""

    def check(self, name: str, value: Any) -> str:
        """See Kind."""
        if not isinstance(value, str):
            raise InvalidValueError(name, value, self.words)
        return value


def is_module(text: str) -> bool:
    """Return whether a text is a Python name as a trace takes it: "package.module:name", perhaps
    after the name of a framework, "keras:package.module:name"; or "timm:NAME" or "hf:CONFIG.json".
    """
    framework, _, rest = text.partition(":")
    if framework in (TIMM, HF) and rest:
        return True
    if framework in FRAMEWORKS and ":" in rest:
        text = rest
    module, colon, name = text.partition(":")
    return bool(colon) and all(
        part.isidentifier() for part in [*module.split("."), *name.split(".")]
    )


def is_onnx(text: str) -> bool:
    """Return whether a text is the path of an ONNX file, by its name."""
    return text.lower().endswith(ONNX)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettings(Settings):
    """The options of a trace."""

    input: tuple[str, ...] = single(
        Several(),
        "What an argument of the module is: Bx3x224x224 is normal, with B for the batch;"
        " tokens:50257:Bx128, ones:, zeros: and uniform: are others. Repeatable; NAME= names it.",
        shown="what the module's example_inputs() returns",
        metavar="[NAME=]SPEC",
        default=(),
    )
    inputs: str | os.PathLike[str] | Mapping[str, Any] | Sequence[Any] | None = single(
        File(),
        "Arguments from a file, by the names of its arrays: FILE.npz or FILE.npy.",
        metavar="FILE",
    )
    batch: int | None = single(
        Whole(1, MAX_BATCH),
        "Samples per trial; of more in a file, each trial takes its own random subset.",
        shown="8, or all samples of a smaller file",
        short="b",
        metavar="N",
    )
    trials: int = single(
        Whole(1, MAX_TRIALS),
        "Independent modules, or for a module as it is, independent inputs.",
        default=4,
        short="t",
        metavar="N",
    )
    seed: int = single(
        Whole(0, MAX_SEED),
        "Seed of all random numbers.",
        default=0,
        short="s",
        metavar="N",
    )
    weights: str | os.PathLike[str] | None = single(
        File(),
        "Weights of all trials, which then differ in inputs only: .safetensors, .pt or .npz.",
        shown="as the function draws them",
        metavar="FILE",
    )
    max_bytes: int | None = single(MAX_BYTES, HELP, shown=SHOWN, metavar="N")
    mode: str = single(
        Name(MODES), "Batch norm and dropout as in training, or as after it.", default="train",
    )  # fmt: skip
    dropout: str = single(Name(DROPOUT), "Whether dropout drops in train mode.", default="keep")
    backward: bool = single(Flag(), "Measure the gradient too.", default=True, off="no-backward")
    loss: str | Callable[[Any], Any] | None = single(
        ModuleName(),
        "A function of the output whose gradients are measured, package.module:name.",
        shown="a random read-out of all outputs",
        metavar="NAME",
    )
    read_out: str | None = single(
        Glob(),
        "The outputs that the random read-out takes.",
        shown="all",
        metavar="GLOB",
    )
    only: tuple[str, ...] = single(
        Several(), "Only the modules of these paths; repeatable.", default=(), metavar="GLOB",
    )  # fmt: skip
    leaves: bool = single(Flag(), "Only modules that contain no others.", default=False)
    ops: bool = single(
        Flag(), "Functions that the code of modules calls too, such as layer1:add.", default=False
    )
    axes: tuple[str, ...] | Mapping[str, str] = single(
        GivenAxes(),
        "A letter for each axis of the modules of these paths: samples S, positions P, units U, or"
        " SP, such as 'layer*=S,U,P,P'; repeatable.",
        shown="found by trying other batches",
        metavar="GLOB=AXES",
        default=(),
    )
    dtype: str | None = single(
        Dtype(DTYPES, DTYPE_ALIASES | SHORT_NAMES),
        "Precision of the module; statistics are always float64.",
        shown="as the module has it",
    )
    device: str | None = single(
        Device(), "Where the module runs.", shown="as the module has it", metavar="NAME",
    )  # fmt: skip
    keep_trials: bool = False
