"""Damage to the form of a JSON document: nearly valid JSON with wrong content."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

from tests.robustness.mutations import EXTREMES, NASTY

# A placeholder for text that no Python value produces; no seed contains it.
PLACE = "@place@"
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 7, 0.5, -1e308, 1e308, 5e-324, 2**31, 2**53 + 1, 2**64,
    10**12, "", "0", "1", "nan", "selu", "relu", "normal", "uniform", "dense", "float64", [], {},
    [[]], [0], {"": 0}, {"estimate": 0}, "__proto__", "/dev/zero", "/", ".", "missing.npy",
)  # fmt: skip


def places(form: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside `form`."""
    found = [path] if path else []
    if isinstance(form, dict):
        entries: Any = form.items()
    else:
        entries = enumerate(form) if isinstance(form, list) else ()
    for key, value in entries:
        found += places(value, (*path, key))
    return found


def parent_of(form: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        form = form[key]
    return form


def _raw(random: Random) -> str:
    """Return text to put in place of a value."""
    depth = random.choice((10, 1000, 100_000))
    return random.choice((
        *(number.decode() for number in EXTREMES),
        *(f'"{text.decode("latin-1")}"' for text in NASTY),
        "[" * depth + "]" * depth,
        '{"a":' * depth + "0" + "}" * depth,
        "[" * depth,
        "'single'",
        "undefined",
        "",
    ))  # fmt: skip


def mutate_form(random: Random, data: bytes) -> bytes:
    """Change one to three values of a document, or their surroundings."""
    form = json.loads(data)
    raw = None
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        every = places(form)
        if not every:
            break
        # Few values lie outside the layers, but most of the result depends on them.
        few = [path for path in every if "layers" not in path] or every
        path = random.choice(random.choice((every, few)))
        parent, key = parent_of(form, path), path[-1]
        match random.randrange(8):
            case 0:
                del parent[key]
            case 1:
                other = random.choice(every)
                parent[key] = copy.deepcopy(parent_of(form, other)[other[-1]])
            case 2 if isinstance(parent, list):
                parent.insert(key, copy.deepcopy(parent[key]))
            case 3 if isinstance(parent, dict):
                parent[random.choice(("unknown", "", "layer", "\x1b[31m"))] = parent.pop(key)
            case 4:
                parent[key] = PLACE
                raw = _raw(random)
            case 5 if isinstance(parent[key], int | float):
                parent[key] *= random.choice((-1, 0, 0.5, 2, 10, 1e150))
            case _:
                parent[key] = copy.deepcopy(random.choice(VALUES))
    text = json.dumps(form)
    if raw is not None:
        text = text.replace(f'"{PLACE}"', raw)
    return text.encode("utf-8", "surrogatepass")


def repeat_key(random: Random, data: bytes) -> bytes:
    """Write a key twice, with different values."""
    form = json.loads(data)
    inside = [path for path in places(form) if isinstance(parent_of(form, path), dict)]
    path = random.choice(inside)
    value = json.dumps(parent_of(form, path)[path[-1]])
    parent_of(form, path)[path[-1]] = PLACE
    second = f", {json.dumps(path[-1])}: {random.choice((value, *map(json.dumps, VALUES)))}"
    return json.dumps(form).replace(f'"{PLACE}"', value + second).encode()
