"""Modules that other packages build: `timm:NAME` and `hf:CONFIG.json`. Nothing is downloaded."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from snstat.errors import InputFileError, InvalidValueError, SnstatError
from snstat.sources.calls.target import load_target, user_code
from snstat.values.tracing import HF, TIMM

if TYPE_CHECKING:
    from collections.abc import Iterator

# Names of timm's own models, with a tag perhaps. Others, "hf-hub:…", are downloaded.
_TIMM_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*", re.ASCII)
CONFIG = "config.json"
OFFLINE = "HF_HUB_OFFLINE"
# How long the texts of an example are.
LENGTH = 16


def load(text: str) -> Any:
    """Return the object that a target names: the user's own, or a function that builds a model of
    timm or transformers. Raises SnstatError where that package is missing."""
    hub, _, name = text.partition(":")
    if hub == TIMM:
        return _timm(text, name)
    return _transformers(text, name) if hub == HF else load_target(text)


def _require(text: str, package: str) -> None:
    if find_spec(package) is None:
        raise SnstatError(f"tracing {text} needs {package}: pip install {package}")


def _timm(text: str, name: str) -> Callable[..., Any]:
    if not _TIMM_NAME.fullmatch(name):
        raise InvalidValueError("target", text, "the name of a model of timm, as in timm:resnet18")
    _require(text, TIMM)
    with user_code(text), _offline():
        import timm

    @_offline()
    def build(**settings: Any) -> Any:
        if settings.get("pretrained"):
            raise SnstatError(f"{text} is traced without its weights: nothing is downloaded")
        model = timm.create_model(name, **{"pretrained": False} | settings)
        size = getattr(model, "default_cfg", {}).get("input_size")
        if size is not None:
            model.example_inputs = lambda: "x".join(["B", *map(str, size)])
        return model

    return build


def _transformers(text: str, path: str) -> Callable[..., Any]:
    if not os.path.lexists(path):
        raise InputFileError(path, "no such file", f"give a folder, or the path of a {CONFIG}")
    _require(text, "transformers")
    with user_code(text), _offline():
        import transformers

        # A path with a separator is never the name of a model to download.
        config = transformers.AutoConfig.from_pretrained(
            os.path.abspath(path),  # noqa: PTH100  # texts, as that package takes them
            local_files_only=True,
            trust_remote_code=False,
        )

    @_offline()
    def build(attn_implementation: str | None = None, **settings: Any) -> Any:
        own = copy.deepcopy(config)
        if attn_implementation is not None:
            own._attn_implementation = attn_implementation  # noqa: SLF001  # no public name
        for name, value in settings.items():
            if not hasattr(own, name):
                raise SnstatError(f"{text} has no {name!r} in its configuration")
            setattr(own, name, value)
        model = transformers.AutoModel.from_config(own, trust_remote_code=False)
        model.example_inputs = partial(_examples, model)
        return model

    return build


def _examples(model: Any) -> dict[str, str]:
    """Return texts or pictures as a model of transformers takes them."""
    name, config = model.main_input_name, model.config
    if name == "input_ids":
        words = f"tokens:{config.vocab_size}:Bx{LENGTH}"
        return {name: words} | ({"decoder_input_ids": words} if config.is_encoder_decoder else {})
    size = getattr(config, "image_size", None)
    if name == "pixel_values" and isinstance(size, int):
        return {name: f"Bx{config.num_channels}x{size}x{size}"}
    raise SnstatError(f"say what the model is called with: --input {name}=SPEC")


@contextmanager
def _offline() -> Iterator[None]:
    """Let nothing be looked up on the network, whichever package first asks."""
    before = os.environ.get(OFFLINE)
    os.environ[OFFLINE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[OFFLINE]
        else:
            os.environ[OFFLINE] = before
