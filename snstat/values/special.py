"""Compiled modules of scipy, without their packages.

Importing a package of scipy takes longer than most runs, so single compiled modules of it are
loaded alone.
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType


@cache
def compiled(package: str, name: str) -> ModuleType:
    """Return the compiled module scipy.`package`.`name`, loaded without its package if possible.

    Raises ImportError if this release of scipy has no such module.
    """
    full = f"scipy.{package}.{name}"
    try:
        folders = getattr(find_spec("scipy"), "submodule_search_locations", None) or ()
        paths = (
            Path(folder, package, name + ending)
            for folder in folders
            for ending in EXTENSION_SUFFIXES
        )
        loader = ExtensionFileLoader(full, str(next(path for path in paths if path.is_file())))
        module = module_from_spec(ModuleSpec(full, loader, origin=loader.path))
        loader.exec_module(module)
    except (ImportError, StopIteration):
        module = importlib.import_module(full)
    return module


@cache
def special(name: str) -> Any:
    """Return the numpy ufunc scipy.special.`name`.

    In scipy ≥ 1.15 one module has erf, expit, ndtr and more; for others all of scipy.special loads.
    """
    try:
        return getattr(compiled("special", "_special_ufuncs"), name)
    except (ImportError, AttributeError):
        return getattr(importlib.import_module("scipy.special"), name)
