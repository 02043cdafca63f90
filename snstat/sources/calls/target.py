"""The user's own function or module: how it is found, and how its failures are told."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from snstat.errors import (
    MOST_OF_A_FAILURE,
    InvalidValueError,
    SnstatError,
    UserCodeError,
    nearest,
    printable,
)

FORM = 'a Python name such as "package.module:name"'


def load_target(text: str) -> Any:
    """Return the object that "package.module:name" names. This runs the user's code.

    The working directory is on the path of imports meanwhile. Raises SnstatError for a name that
    is not there, and UserCodeError if the module itself fails.
    """
    module_name, _, name = text.partition(":")
    parts = (*module_name.split("."), *name.split("."))
    if not all(part.isidentifier() for part in parts):
        raise InvalidValueError("target", text, FORM)
    with working_directory(), user_code(text):
        module = _module(module_name)
        found: Any = module
        for part in name.split("."):
            found = _attribute(found, part, module_name)
        return found


@contextmanager
def working_directory() -> Iterator[None]:
    """Import from the working directory, as `python -m` does, for a while."""
    here = os.getcwd()  # noqa: PTH109  # the path of imports holds texts
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


@contextmanager
def user_code(name: str) -> Iterator[None]:
    """Turn what the user's own code raises into a UserCodeError: one line that names the place.

    The exception is its cause, whose traceback can be shown. An error of snstat and an interrupt
    pass.
    """
    try:
        yield
    except (SnstatError, KeyboardInterrupt):
        raise
    except SystemExit as error:
        raise UserCodeError(name, f"called sys.exit({error.code!r})", _place(error)) from error
    except BaseException as error:  # whatever the user's code raises
        raise UserCodeError(name, _told(error), _place(error)) from error


def require_arguments(name: str, function: Any, settings: Mapping[str, Any]) -> None:
    """Raise SnstatError for arguments that a function lacks or does not take."""
    try:
        inspect.signature(function).bind(**settings)
    except TypeError as error:
        raise SnstatError(f"{name}: {error}; --set NAME=VALUE sets an argument") from None
    except ValueError:  # some built-in functions do not say what they take
        return


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there, and imports another one that is not
        if name.endswith(".py"):
            raise SnstatError(
                f"{name!r} is the name of a file, but must be that of a Python module; "
                "leave out .py"
            ) from None
        where = printable(os.getcwd(), MOST_OF_A_FAILURE)  # noqa: PTH109
        raise SnstatError(
            f"there is no Python module {error.name!r}, neither in {where} nor installed"
        ) from None


def _attribute(owner: Any, name: str, module: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        near = nearest(name, [entry for entry in dir(owner) if not entry.startswith("_")])
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SnstatError(f"the module {module!r} has no {name!r}{hint}") from None


def _told(error: BaseException) -> str:
    # The text of a SyntaxError ends with its place, which is told anyway.
    words = error.msg if isinstance(error, SyntaxError) and error.filename else str(error)
    text = printable(words, MOST_OF_A_FAILURE)
    return f"raised {type(error).__name__}" + (f": {text}" if text else "")


def _place(error: BaseException) -> str:
    """Return where the user's own code failed: the innermost line that is no library's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"line {error.lineno} of {Path(error.filename).name}"
    own = Path(__file__).parents[2]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_file() and own not in path.parents and not _of_library(path):
            return f"line {frame.lineno} of {path.name}"
    return ""


def _of_library(path: Path) -> bool:
    standard = Path(os.__file__).parent
    return "site-packages" in path.parts or standard in path.parents
