"""What tells versions of a traced target apart: the code, or the file, that it is made by."""

from __future__ import annotations

import os
from importlib import metadata
from importlib.util import find_spec

from snstat.disk.digest import digest_of
from snstat.experiment.trace_settings import FRAMEWORKS, is_onnx
from snstat.sources.calls.target import working_directory
from snstat.values.tracing import HF, TIMM

_CONFIG = "config.json"


def source_of(target: str) -> str:
    """Return a digest of the module's source file, of the .onnx file or of the configuration that
    `target` names, and the version of timm or transformers if they build the model.

    It is "" where there is no such file; the trace says so. Files that a source file imports are
    not read.
    """
    first, _, rest = target.partition(":")
    if first == TIMM:
        return _version(TIMM)
    if first == HF:
        path = os.path.join(rest, _CONFIG) if os.path.isdir(rest) else rest  # noqa: PTH112, PTH118
        return f"{digest_of(path)} {_version('transformers')}"
    if is_onnx(target):
        return digest_of(target)
    module = rest.partition(":")[0] if first in FRAMEWORKS and ":" in rest else first
    with working_directory():
        try:
            found = find_spec(module)  # imports the packages that it is in
        except Exception:  # noqa: BLE001  # whatever the user's code raises, which the trace says
            return ""
    return "" if found is None or not found.has_location else digest_of(str(found.origin))


def _version(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return ""
