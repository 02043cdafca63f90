"""The graph of a module by `torch.export`: what is done to which values, in plain records."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field, replace
from io import StringIO
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils._pytree import tree_leaves

from snstat.errors import printable
from snstat.sources.calls.parts import parts_of
from snstat.sources.torch.folding import folded, memory_of, written_by
from snstat.sources.torch.modules import COMPILED, kind_of, scripted
from snstat.sources.torch.own_activations import own_activations
from snstat.sources.torch.probe import quiet
from snstat.sources.torch.restore import random_states, restored

# More modules, or calls of modules, are not exported: a thousand take seconds.
MOST_CALLS = 1000
# Characters of what torch says of a module that it does not export.
MOST_WORDS = 100
# What is written in place, and aliases of what it is given.
IN_PLACE = "_"
# Errors of this kind of name are raised where a module asks for values.
DEPENDENT = "DataDependent"
# The logger of torch that no level turns off.
ALWAYS_ON = "torch.__trace"
# Classes of PyTorch's own modules, and those among them that only call others.
LIBRARY, CONTAINERS = "torch.nn.modules.", ("container.",)


class GraphError(Exception):
    """Why there is no graph, in a few words."""


class Scope(NamedTuple):
    """A call of a module: its path, the number of the call from 1, and the class of the module,
    which is of PyTorch's own modules if `library`. A container of PyTorch is no such module."""

    path: str
    call: int
    kind: str
    library: bool


class Ref(NamedTuple):
    """The value of an earlier node."""

    name: str


@dataclass(frozen=True)
class Node:
    """One operation. `op` is its name, with "_" at the end if it writes to its first argument.
    `arguments` are its arguments by name, `scopes` the calls it is part of, the outermost first,
    and `shape` is that of its result, None if that is no tensor, and `floating` whether it has
    floating numbers. The result of a `view` shares memory with an argument, and other arguments
    than the first may be `written` to, as by code without gradients."""

    name: str
    op: str
    arguments: Mapping[str, Any]
    scopes: tuple[Scope, ...]
    shape: tuple[int, ...] | None
    view: bool
    floating: bool
    written: tuple[Ref, ...]

    @property
    def sources(self) -> tuple[Ref, ...]:
        """The values that it is a function of."""
        return tuple(_refs(tuple(self.arguments.values())))


@dataclass(frozen=True)
class Graph:
    """The operations of a module in order. `inputs` are the names of the values that it is called
    with, `parameters` the names of parameters and buffers by those of their values, `constants`
    what is the same however it is initialised, `values` the same with buffers and what follows from
    them, and `outputs` the values that it returns. `activations` are the modules of the user's own
    that are an activation function, by their paths, with its name."""

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    parameters: Mapping[str, str]
    constants: Mapping[str, torch.Tensor]
    values: Mapping[str, torch.Tensor]
    outputs: tuple[Ref, ...]
    users: Mapping[str, int] = field(default_factory=dict)
    activations: Mapping[str, str] = field(default_factory=dict)

    def activation(self, node: Node) -> Scope | None:
        """Return the call of a module that is an activation function which a node is part of."""
        return next((scope for scope in node.scopes if scope.path in self.activations), None)


def exported(
    model: nn.Module,
    aliases: Mapping[str, str],
    positional: Sequence[Any],
    by_name: Mapping[str, Any],
) -> Graph:
    """Return the graph of a module that is called with these tensors; `aliases` are further paths
    of modules. It runs on fake tensors, and is put back as it was.

    Raises GraphError where it has none.
    """
    if next(islice(model.modules(), MOST_CALLS, None), None) is not None:
        raise GraphError(f"it has more than {MOST_CALLS:,} modules")
    if scripted(model):
        raise GraphError("it is scripted (torch.jit), or a part of it is")
    try:
        with restored(model), random_states(), _quietly():
            activations = own_activations(model)
            with _few_calls(), _plain_output(model):
                program = torch.export.export(model, tuple(positional), dict(by_name), strict=False)
            return replace(_read(program, aliases, kind_of(model)), activations=activations)
    except GraphError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  # of torch or of the user's code
        raise GraphError(_words(error)) from None


def _words(error: BaseException) -> str:
    """Return in a few words what torch.export raised."""
    name = type(error).__name__
    if DEPENDENT in name:
        return f"its values decide what it does (torch.export raised {name})"
    said = printable(next(iter(str(error).splitlines()), ""), MOST_WORDS)
    return f"torch.export raised {name}" + (f": {said}" if said else "")


@contextmanager
def _quietly() -> Iterator[None]:
    """Let torch neither warn nor log nor print what the caller catches."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), quiet(ALWAYS_ON), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _few_calls() -> Iterator[None]:
    """Raise GraphError in a module that is one call too many."""
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > MOST_CALLS:
            raise GraphError(f"it calls modules more than {MOST_CALLS:,} times")

    handle = register_module_forward_hook(count)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _plain_output(model: nn.Module) -> Iterator[None]:
    """Let a module return the tensors of its output alone: torch.export takes no dataclass there,
    nor other things that no trace measures."""

    def plain(_model: nn.Module, _args: Any, output: Any) -> tuple[torch.Tensor, ...]:
        return tuple(_tensors(output))

    handle = model.register_forward_hook(plain)
    try:
        yield
    finally:
        handle.remove()


def _tensors(value: Any, place: str = "") -> Iterator[torch.Tensor]:
    """Yield the tensors within an output."""
    for leaf in tree_leaves(value):
        if isinstance(leaf, torch.Tensor):
            yield leaf
        else:
            for name, part in parts_of(leaf, place) or ():
                yield from _tensors(part, place + name)


def _read(program: Any, aliases: Mapping[str, str], root: str) -> Graph:
    """Return a program of torch.export in our own records."""
    kinds: dict[str, dict[str, str]] = {
        "parameter": {}, "buffer": {}, "constant_tensor": {}, "user_input": {}
    }  # fmt: skip
    for spec in program.graph_signature.input_specs:
        kinds.setdefault(spec.kind.name.lower(), {})[getattr(spec.arg, "name", "")] = spec.target
    scopes = _Scopes(aliases, root)
    nodes, shapes, outputs = [], dict[str, tuple[int, ...]](), tuple[Ref, ...]()
    for node in program.graph.nodes:
        shape = _shape(node)
        if node.op == "output":
            outputs = tuple(_refs(_plain(node.args)))
        elif node.op == "placeholder":
            if shape is not None:
                shapes[node.name] = shape
        else:
            nodes.append(_node(node, shape, scopes.of(node)))
            if shape is not None:
                shapes[node.name] = shape
    constants = {name: program.constants[key] for name, key in kinds["constant_tensor"].items()}
    there = {**program.constants, **program.state_dict}
    buffers = {name: there[key] for name, key in kinds["buffer"].items() if key in there}
    return Graph(
        tuple(nodes),
        tuple(name for name in kinds["user_input"] if name in shapes),
        shapes,
        {**kinds["parameter"], **kinds["buffer"]},
        folded(program, constants),
        folded(program, {**constants, **buffers}),
        outputs,
        {node.name: len(node.users) for node in program.graph.nodes},
    )


def _node(node: Any, shape: tuple[int, ...] | None, scopes: tuple[Scope, ...]) -> Node:
    op, value = _op(node), node.meta.get("val")
    written = () if op.endswith(IN_PLACE) else tuple(map(Ref, written_by(node)))
    floating = isinstance(value, torch.Tensor) and value.is_floating_point()
    return Node(node.name, op, _arguments(node), scopes, shape, _is_view(node), floating, written)


class _Scopes:
    """Numbers the calls of modules in their order. A module that goes by several paths is one."""

    def __init__(self, aliases: Mapping[str, str], root: str) -> None:
        self._aliases, self._root = aliases, root
        self._calls: dict[str, dict[str, int]] = {}

    def of(self, node: Any) -> tuple[Scope, ...]:
        """Return the calls that a node is part of."""
        found = []
        for key, (name, owner) in (node.meta.get("nn_module_stack") or {}).items():
            kind = owner if isinstance(owner, str) else f"{owner.__module__}.{owner.__qualname__}"
            path = ".".join(part for part in name.split(".") if part != COMPILED) or self._root
            path = self._aliases.get(path, path)
            calls = self._calls.setdefault(path, {})
            call = calls.setdefault(key, len(calls) + 1)
            own = kind.removeprefix(LIBRARY)
            library = own != kind and not own.startswith(CONTAINERS)
            found.append(Scope(path, call, kind.rpartition(".")[2], library))
        return tuple(found)


def _op(node: Any) -> str:
    """Return the name of what a node does: "linear", "relu_"."""
    target = node.target
    if isinstance(target, torch._ops.OpOverload):  # noqa: SLF001  # no public name
        return target.overloadpacket.__name__
    return str(getattr(target, "__name__", target))


def _arguments(node: Any) -> dict[str, Any]:
    """Return the arguments of a node by name, with those that were left out."""
    if not isinstance(node.target, torch._ops.OpOverload):  # noqa: SLF001
        return {"args": _plain(node.args), **{key: _plain(v) for key, v in node.kwargs.items()}}
    found = {}
    for place, entry in enumerate(node.target._schema.arguments):  # noqa: SLF001
        if place < len(node.args) and not entry.kwarg_only:
            value = node.args[place]
        elif entry.name in node.kwargs:
            value = node.kwargs[entry.name]
        else:
            value = entry.default_value if entry.has_default_value() else None
        found[entry.name] = _plain(value)
    return found


def _is_view(node: Any) -> bool:
    """Return whether what a node returns shares memory with its arguments, as what `reshape` and
    `contiguous` return may do or not."""
    own = set(_memories(node))
    return any(not own.isdisjoint(_memories(source)) for source in node.all_input_nodes)


def _memories(node: Any) -> Iterator[int]:
    """Yield what tells the memory of the tensors that a node returns."""
    for value in tree_leaves(node.meta.get("val")):
        if isinstance(value, torch.Tensor):
            yield memory_of(value)


def _plain(value: Any) -> Any:
    """Return an argument with references in the place of nodes, and lists as tuples."""
    if isinstance(value, torch.fx.Node):
        return Ref(value.name)
    if isinstance(value, Mapping):
        return tuple(_plain(entry) for entry in value.values())
    return tuple(map(_plain, value)) if isinstance(value, tuple | list) else value


def _refs(value: Any) -> Iterator[Ref]:
    """Yield the references within an argument."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, tuple):
        for entry in value:
            yield from _refs(entry)


def _shape(node: Any) -> tuple[int, ...] | None:
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor):
        return None
    return tuple(size if isinstance(size, int) else -1 for size in value.shape)
