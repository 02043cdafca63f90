"""Parameters that a module writes to while it runs, such as the slow encoder of momentum contrast.

All parameters together may be as large as the memory that a run needs, so they are not copied
beforehand. The storage of one is copied just before the first operation that writes to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class PutsBack(TorchDispatchMode):
    """While it is entered, keeps what operations of PyTorch overwrite in parameters.

    `put_back` restores it bit for bit. Writes past PyTorch, such as to an array of numpy that
    shares the memory of a parameter, are not seen.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        super().__init__()
        # A parameter that is assigned other data (`.data = `) gets its own back.
        self._data = [(own, own.data) for own in parameters if _stored(own)]
        self._storages = {_address(data) for _, data in self._data}
        self._kept: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        # Where an operation has the arguments that it writes to.
        self._places: dict[Any, list[tuple[int, str]]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # PyTorch's signature
        places = self._places.get(func)
        if places is None:
            places = self._places[func] = _places(func)
        for place, name in places:
            value = args[place] if place < len(args) else (kwargs or {}).get(name)
            for tensor in value if isinstance(value, list | tuple) else (value,):
                if isinstance(tensor, torch.Tensor) and _stored(tensor):
                    self._keep(tensor)
        return func(*args, **(kwargs or {}))

    def _keep(self, tensor: torch.Tensor) -> None:
        address = _address(tensor)
        if address in self._storages and address not in self._kept:
            storage = tensor.untyped_storage()
            self._kept[address] = storage, storage.clone()

    def put_back(self) -> None:
        """Give parameters what they held when this was made."""
        for storage, values in self._kept.values():
            storage.copy_(values)
        self._kept.clear()
        for own, data in self._data:
            if not own.is_set_to(data):
                own.data = data


def _places(func: Any) -> list[tuple[int, str]]:
    """Return where an operation has the arguments that it writes to."""
    return [
        (place, argument.name)
        for place, argument in enumerate(func._schema.arguments)  # noqa: SLF001  # no other access
        if argument.alias_info is not None and argument.alias_info.is_write
    ]


def _stored(tensor: torch.Tensor) -> bool:
    """Return whether a tensor has memory of its own kind: lazy, sparse and fake ones have none."""
    plain = type(tensor) in {torch.Tensor, torch.nn.Parameter}
    return plain and tensor.layout is torch.strided and not tensor.is_meta


def _address(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
