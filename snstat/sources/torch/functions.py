"""Functions that the code of modules calls, `F.relu` and `+`, seen while a module runs.

Only the outermost of functions that call each other is seen. Functions that move values and make
none, such as views, copies and casts, are left out, as are those that are given no floating tensor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, Self

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from snstat.sources.torch.called import Called, Function, function_path
from snstat.sources.torch.hooks import Hook, Hooks, Seen, in_backward
from snstat.sources.torch.leaves import tensors_of, version_of

# Python's names of operators, for those of which torch has no name. Others of them make no values.
OPERATORS = {
    "__rsub__": "sub", "__rdiv__": "div", "__rtruediv__": "div", "__rpow__": "pow",
    "__rmod__": "remainder", "__floordiv__": "floor_divide", "__rfloordiv__": "floor_divide",
    "__rmatmul__": "matmul",
}  # fmt: skip
# What moves values, also where it copies them. Views are told by their storage.
_MOVES = """
clone contiguous reshape reshape_as flatten unflatten to type type_as float double half bfloat16
cpu cuda detach numpy tolist item size numel dim is_floating_point zeros_like ones_like
empty_like full_like rand_like randn_like new_zeros new_ones new_empty new_full new_tensor
requires_grad_ retain_grad register_hook backward
"""
MOVES = frozenset(_MOVES.split())


class Functions(TorchFunctionMode):
    """Sees the functions that the code of `modules`, by their paths, calls while in the context.

    A call is told to `seen` with the path "layer1:add" and its number, 0 while backward runs a part
    of the model again (see Hooks). `wanted` says which paths are told.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        seen: Seen,
        wanted: Callable[[str], bool] = lambda _path: True,
    ) -> None:
        super().__init__()
        self._modules, self._seen, self._wanted = modules, seen, wanted
        self.within: list[str] = []
        self.calls: Counter[str] = Counter()
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for path, module in self._modules.items():
                before = module.register_forward_pre_hook(Hook(partial(self._before, path)))
                stack.enter_context(before)
                # Also where the module raises, and its caller goes on.
                stack.enter_context(
                    module.register_forward_hook(Hook(self._after), always_call=True)
                )
            super().__enter__()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._open.close()

    def _before(self, path: str, _module: nn.Module, _inputs: Any) -> None:
        if not self.within and in_backward():  # which no mode sees
            super().__enter__()
        self.within.append(path)

    def _after(self, _module: nn.Module, _inputs: Any, _output: Any) -> None:
        self.within.pop()
        if not self.within and in_backward():
            super().__exit__(None, None, None)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function, and tell what it returned. Within, this sees nothing."""
        named = kwargs or {}
        name = name_of(func)
        if not self.within or not name:
            return func(*args, **named)
        entered = [(tensor, version_of(tensor)) for tensor in tensors_of([args, named])]
        output = func(*args, **named)
        if entered and _makes(output, entered):
            self._tell(function_path(self.within[-1], name), name, output)
        return output

    def _tell(self, path: str, name: str, output: Any) -> None:
        if not self._wanted(path):
            return
        if in_backward():
            self._seen(path, 0, Function(name), output)
            return
        self.calls[path] += 1
        self._seen(path, self.calls[path], Function(name), output)


@contextmanager
def watched(
    modules: Mapping[str, nn.Module], seen: Seen, functions: Functions | None
) -> Iterator[Counter[str]]:
    """See the calls of modules, by hooks, and those of `functions`, if there are any. Yields how
    often each was called by then."""
    hooks = Hooks(modules, seen if functions is None else _quiet(seen))
    if functions is not None:
        functions.calls = hooks.calls
    with hooks, functions or nullcontext():
        yield hooks.calls


def _quiet(seen: Seen) -> Seen:
    """Return `seen`, whose own calls of functions no mode sees."""

    def quiet(path: str, call: int, called: Called, output: Any, /) -> None:
        with torch._C.DisableTorchFunction():  # noqa: SLF001  # no public name
            seen(path, call, called, output)

    return quiet


def name_of(function: Any) -> str:
    """Return the name of a function in a path, empty for what makes no values."""
    name = getattr(function, "__name__", "")
    if name in MOVES:
        return ""
    return OPERATORS.get(name, "") if name.startswith("__") else name


def _makes(output: Any, entered: list[tuple[torch.Tensor, int]]) -> bool:
    """Return whether a function made values: not those of what entered, unless it changed them."""
    made = tensors_of(output)
    kept = {
        tensor.untyped_storage()._cdata  # noqa: SLF001  # also of tensors without values
        for tensor, version in entered
        if version_of(tensor) == version
    }
    return any(tensor.untyped_storage()._cdata not in kept for tensor in made)  # noqa: SLF001
