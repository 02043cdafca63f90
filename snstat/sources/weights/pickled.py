"""A look at the pickle of a PyTorch file before PyTorch reads it, for more than weights.

The instructions of the pickle are listed, not obeyed. `torch.load(weights_only=True)` refuses what
is refused here too; this look is sooner, in one line, and a second lock.
"""

from __future__ import annotations

import io
import pickletools
from typing import IO

from snstat.files.npy import DamagedError

# The pickle of a state dict has some hundred bytes a tensor.
MOST_BYTES = 2**23
REMEDY = "save model.state_dict(), or use safetensors"
# Instructions of protocol 2, which torch.save uses, that look up or call anything by other means
# than GLOBAL, whose name is looked at.
STRANGE = frozenset({"INST", "OBJ", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4", "PERSID", "NEWOBJ_EX"})
# What state dicts are made of, beside the types in torch.
MADE_OF = frozenset(
    {
        "collections.OrderedDict",
        "torch.Size",
        "torch.device",
        "torch._tensor._rebuild_from_type_v2",
        "torch.serialization._get_layout",
        "torch.storage.UntypedStorage",
        "torch.storage.TypedStorage",
    }
)
# What makes tensors of their storage; PyTorch itself takes those that are safe.
REBUILD = "torch._utils._rebuild_"
DTYPES = frozenset(
    {
        *(f"{kind}{bits}" for kind in ("float", "int") for bits in (16, 32, 64)),
        *("int8", "uint8", "bool", "half", "float", "double", "bfloat16", "complex64"),
        *("complex128", "per_tensor_affine", "qint8", "quint8", "uint16", "uint32", "uint64"),
        *(f"float8_{kind}" for kind in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz", "e8m0fnu")),
    }
)


def require_weights_only(file: IO[bytes], pickles: int = 1) -> None:
    """Raise DamagedError if some of the next `pickles` of a file name anything that no state dict
    is made of."""
    held = io.BytesIO(file.read(MOST_BYTES))
    for _ in range(pickles):
        for instruction, argument, _ in pickletools.genops(held):
            if instruction.name in STRANGE:
                raise DamagedError(f"holds more than weights ({instruction.name})", REMEDY)
            name = str(argument).replace(" ", ".", 1)
            if instruction.name == "GLOBAL" and not _harmless(name):
                raise DamagedError(f"holds more than weights ({name})", REMEDY)


def _harmless(name: str) -> bool:
    """Return whether a global is a part of state dicts."""
    package, _, last = name.partition(".")
    if name in MADE_OF or name.startswith(REBUILD):
        return True
    return package == "torch" and (last in DTYPES or (last.isalnum() and last.endswith("Storage")))
