"""A traced module as JSON: what was called, and how its inputs were made."""

from __future__ import annotations

import re
from typing import Any

from snstat.errors import quoted
from snstat.files.form import (
    FormError,
    Reader,
    digest,
    entries_of,
    entry_of,
    list_of,
    options,
    or_null,
    read,
    text,
    word,
)
from snstat.limits import MAX_INTEGER
from snstat.results import Axes, Call, Left, ModuleSummary, NonFinite, Simulation
from snstat.results.module import SAMPLES, numbered
from snstat.values.kinds import Flag, Name, Whole
from snstat.values.tracing import DROPOUT, DTYPES, FOUND, MODES, TRACE, TRIALS_OF

# The most axes of a tensor.
MOST_AXES = 64
_SAMPLES = re.compile(f"(?:[1-9][0-9]{{0,17}})?{SAMPLES}", re.ASCII)


def module_form(module: ModuleSummary) -> dict[str, Any]:
    """Return the value of "module"; its rows are the layers of the run."""
    form = {key: getattr(module, field) for key, field in KEYS.items()}
    return form | {
        "theory_ends": [_place(left, "call") for left in module.theory_ends],
        "skipped": [_place(left, "call", "output") for left in module.skipped],
    }


def trace_form(module: ModuleSummary, simulation: Simulation) -> dict[str, Any]:
    """Return the value of "simulation" of a traced module."""
    form = {key: simulation[key] for key in ("batch", "trials", "seed", "dtype")}
    own = ("device", "inputs", "inputs_digest", "loss")
    return form | {key: module[key] for key in own}


def parse_module(entries: dict[str, Any]) -> tuple[ModuleSummary, Simulation]:
    """Return the record of a traced module and of how it was sampled, from the object of a run.

    Raises FormError, and InvalidValueError for a value out of bounds.
    """
    sampling = read("simulation", entries, SAMPLING)
    layers = list_of("layers", entries)
    if not layers:
        raise FormError("a run has no layers")
    own = {key: sampling.pop(key) for key in ("device", "inputs", "loss")}
    # Older files have none.
    found = entries_of("simulation", entries["simulation"]).get("inputs_digest")
    own["inputs_digest"] = or_null(digest)("inputs_digest", found)
    values = read("module", entries, MODULE)
    rows = _rows(layers[1:], sampling["trials"])
    first = entries_of("layer 0", layers[0])
    nonfinite = values["nonfinite"]
    if nonfinite is not None and nonfinite.trial >= sampling["trials"]:
        bound = f"below {sampling['trials']}, the number of trials"
        raise FormError(f"trial of nonfinite is {nonfinite.trial}, but must be {bound}")
    module = ModuleSummary(
        **{KEYS[key]: value for key, value in values.items()},
        **own,
        input_shape=_sizes("shape", entry_of("layer 0", first, "shape")),
        rows=rows,
    )
    return module, traced_simulation(module, **sampling)


def traced_simulation(module: ModuleSummary, **sampling: Any) -> Simulation:
    """Return the record of how a module was sampled: `sampling` are batch, trials, seed and
    dtype."""
    words = ", ".join(f"{name}={spec}" for name, spec in module.inputs.items())
    train = module.mode == MODES[0]
    return Simulation(
        **sampling,
        sampler=TRACE,
        inputs=words,
        input_mean=None,
        input_std=None,
        inputs_digest=module.inputs_digest,
        train=train,
    )


def _place(left: Left, *keys: str) -> dict[str, Any]:
    return {"path": left.path, **{key: left[key] for key in keys}, "reason": left.reason}


def _rows(layers: list[Any], trials: int) -> tuple[Call, ...]:
    """Return the rows of a run; layer 0 is not among them."""
    forms = [entries_of(f"layer {number}", layer) for number, layer in enumerate(layers, 1)]
    found = []
    for number, form in enumerate(forms, 1):
        label = f"layer {number}"
        try:
            values = {key: reader(key, entry_of("it", form, key)) for key, reader in ROW.items()}
            values["gate"] = GATE("gate", form.get("gate", False))
            same_as, shape = values["same_as"], values["shape"]
            if same_as is not None and same_as >= number:
                raise FormError(f"same_as is {same_as}, but must be the number of a layer before")
            if values["trials"] > trials:
                raise FormError(f"trials is {values['trials']}, but must be at most {trials}")
            axes = values["axes"]
            if axes is not None:
                values["axes"] = _axes(axes, len(shape))
        except ValueError as error:
            raise FormError(f"{label}: {error}") from None
        found.append(Call(**values))
    return numbered(found)


def _axes(form: Any, dimensions: int) -> Axes:
    entries = entries_of("axes", form)
    numbers = {}
    for key in ("sample", "position", "unit"):
        value = entry_of("axes", entries, key)
        if not isinstance(value, list) or not all(
            type(axis) is int and 0 <= axis < dimensions for axis in value
        ):
            bound = f"a list of numbers from 0 to {dimensions - 1}, the axes of the shape"
            raise FormError(f"{key} of axes is {quoted(value)}, but must be {bound}")
        numbers[key] = tuple(value)
    return Axes(**numbers, found=Name(FOUND).plain("found", entry_of("axes", entries, "found")))


# ------------------------------------------------------------------------ readers of one value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise FormError(f"{name} is {quoted(value)}, but must be a list of strings")
    return tuple(text(name, entry) for entry in value)


def _settings(name: str, value: Any) -> dict[str, Any]:
    return {word(name, key): entry for key, entry in entries_of(name, value).items()}


def _inputs(name: str, value: Any) -> dict[str, str]:
    return {text(name, key): word(name, spec) for key, spec in entries_of(name, value).items()}


def _sizes(name: str, value: Any) -> tuple[int, ...]:
    found = _shape(name, value)
    sizes = tuple(size for size in found if isinstance(size, int))
    if len(sizes) < len(found):
        raise FormError(f"{name} is {quoted(value)}, but must be a list of whole numbers")
    return sizes


def _shape(name: str, value: Any) -> tuple[int | str, ...]:
    if (
        not isinstance(value, list)
        or len(value) > MOST_AXES
        or not all(
            _SAMPLES.fullmatch(size)
            if isinstance(size, str)
            else type(size) is int and 0 <= size <= MAX_INTEGER
            for size in value
        )
    ):
        bound = f'a list of at most {MOST_AXES} sizes, numbers, "{SAMPLES}" or "4{SAMPLES}"'
        raise FormError(f"{name} is {quoted(value)}, but must be {bound}")
    return tuple(value)


def _lefts(*keys: str) -> Reader:
    """Return the reader of a list of places, each with a reason and some of "call", "output"."""
    readers: dict[str, Reader] = {"path": text, "reason": word}
    readers |= {key: CALL if key == "call" else text for key in keys}

    def lefts(name: str, value: Any) -> tuple[Left, ...]:
        if not isinstance(value, list):
            raise FormError(f"{name} is {quoted(value)}, but must be a list")
        found = []
        for entry in value:
            form = entries_of(f"an entry of {name}", entry)
            own = {key: reader(key, entry_of(name, form, key)) for key, reader in readers.items()}
            found.append(Left(**own))
        return tuple(found)

    return lefts


def _nonfinite(name: str, value: Any) -> NonFinite:
    form = entries_of(name, value)
    readers: dict[str, Reader] = {
        "trial": Whole(0, MAX_INTEGER).plain, "path": text, "call": CALL, "kind": word,
        "inputs_finite": Flag().plain,
    }  # fmt: skip
    own = {key: reader(key, entry_of(name, form, key)) for key, reader in readers.items()}
    return NonFinite(**own, before=or_null(text)("before", form.get("before")))


CALL: Reader = Whole(1, MAX_INTEGER).plain
SAMPLING: dict[str, Reader] = {
    **options("batch", "trials"),
    "seed": or_null(*options("seed").values()),
    "dtype": Name(DTYPES).plain,
    "device": word,
    "inputs": _inputs,
    "loss": or_null(word),
}
MODULE: dict[str, Reader] = {
    "target": word,
    "set": _settings,
    "framework": word,
    "framework_version": word,
    "parameters": Whole(0, MAX_INTEGER).plain,
    "mode": Name(MODES).plain,
    "dropout": Name(DROPOUT).plain,
    "trials_of": Name(TRIALS_OF).plain,
    "weights": or_null(word),
    "weights_digest": or_null(word),
    "theory_ends": _lefts("call"),
    "nonfinite": or_null(_nonfinite),
    "not_called": _texts,
    "skipped": _lefts("call", "output"),
    "notes": _texts,
}
# Key of "module" → field of the record.
KEYS = {key: key for key in MODULE} | {"set": "settings"}
ROW: dict[str, Reader] = {
    "path": text,
    "call": CALL,
    "output": text,
    "kind": word,
    "shape": _shape,
    "axes": lambda _name, value: value,
    "dtype": word,
    "trials": Whole(1, MAX_INTEGER).plain,
    "same_as": or_null(Whole(0, MAX_INTEGER).plain),
    "gradient_missing": or_null(word),
}
# A key that other rows lack.
GATE: Reader = Flag().plain
