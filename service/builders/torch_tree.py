"""Turns a finished run into the report's layers and weights; knows modules and the tree, not how a spec is spelled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from service.builders.common import as_shape, byte_size
from service.builders.torch_functions import FUNCTIONS
from service.builders.torch_kinds import kind_of_module, layout_of_module
from service.builders.torch_make import function_arguments
from service.builders.torch_run import Done
from service.catalog.torch_layers import role_of
from service.language import Message, msg
from service.plain import json_value, text
from service.tree import Layer, Weight, element_count

_FUNCTION_NOTE = msg("A tensor function, which PyTorch code writes in forward; the module tree does not show it.")


class Lister:
    """Lists layers, remembering which parameter was seen first under which name."""

    def __init__(self, inputs: set[str]) -> None:
        self._inputs = inputs
        self._first: dict[int, str] = {}

    def layers(self, done: list[Done]) -> list[Layer]:
        """All layers and the modules in them, parents before children."""
        return [layer for item in done for layer in self._layer(item, None, self._feeders(item))]

    def _feeders(self, done: Done) -> tuple[str, ...]:
        sources = (*done.item.inputs, *done.item.named_inputs.values())
        return tuple(dict.fromkeys(text(source.name) for source in sources if source.name not in self._inputs))

    def _layer(self, done: Done, parent: str | None, feeders: tuple[str, ...]) -> Iterator[Layer]:
        name = text(done.item.name)
        path = f"{parent}.{name}" if parent else name
        if done.item.type in FUNCTIONS:
            yield _function(done, path, parent, feeders)
        elif done.module is None:
            yield _shell(done, path, parent, feeders)
            before = feeders
            for inner in done.children:
                yield from self._layer(inner, path, before)
                before = (f"{path}.{text(inner.item.name)}",)
        else:
            yield from self._modules(done, path, parent, feeders)

    def _modules(self, done: Done, path: str, parent: str | None, feeders: tuple[str, ...]) -> Iterator[Layer]:
        if done.module is None:
            return
        for inner, module in done.module.named_modules(remove_duplicate=True):
            full = f"{path}.{inner}" if inner else path
            shapes = done.inner.get(inner)
            yield Layer(
                path=full,
                name=full.rpartition(".")[2],
                kind=kind_of_module(module),
                type=type(module).__name__,
                module=type(module).__module__,
                parent=full.rpartition(".")[0] if inner else parent,
                config=config_of(module),
                input_shapes=(shapes[0] if shapes else None) if inner else done.inputs,
                output_shapes=(shapes[1] if shapes else None) if inner else done.outputs,
                inputs=None if inner else feeders,
                uses=None if inner else 1,
                weights=tuple(self.weights(full, module)),
                notes=() if inner else (*done.notes, *_batch_note(module)),
            )

    def weights(self, path: str, module: nn.Module) -> Iterator[Weight]:
        """The weights that a module holds itself; those seen before under another name are tied to it."""
        kind = kind_of_module(module)
        parameters = {name: value for name, value in module._parameters.items() if value is not None}  # noqa: SLF001
        buffers = {name: value for name, value in module._buffers.items() if value is not None}  # noqa: SLF001
        fleeting = module._non_persistent_buffers_set  # noqa: SLF001 - no public way to tell
        for name, value in {**parameters, **buffers}.items():
            first = self._first.setdefault(id(value), f"{path}.{name}")
            role = role_of(kind, name, {*parameters, *buffers})
            yield _weight(
                name,
                value,
                role or ("parameter" if name in parameters else "buffer"),
                layout_of_module(module, kind, role or "", value.dim()),
                tied_to=first if first != f"{path}.{name}" else None,
                persistent=name not in fleeting if name in buffers else None,
            )


def _weight(
    name: str, value: torch.Tensor, role: str, layout: str | None, *, tied_to: str | None, persistent: bool | None
) -> Weight:
    shape = as_shape(value.shape)
    dtype = str(value.dtype).removeprefix("torch.")
    buffer = not isinstance(value, nn.Parameter)
    return Weight(
        name=name,
        role=role,
        shape=shape,
        dtype=dtype,
        count=element_count(shape),
        bytes=byte_size(element_count(shape), dtype),
        group="statistic" if buffer else "trainable" if value.requires_grad else "frozen",
        trainable=not buffer and value.requires_grad,
        trainable_source="recorded",
        layout=layout,
        tied_to=tied_to,
        persistent=persistent,
    )


def _function(done: Done, path: str, parent: str | None, feeders: tuple[str, ...]) -> Layer:
    return Layer(
        path=path,
        name=path.rpartition(".")[2],
        kind=FUNCTIONS[done.item.type].kind,
        type=done.item.type,
        parent=parent,
        config=dict(json_value(dict(function_arguments(done.item)))),
        input_shapes=done.inputs,
        output_shapes=done.outputs,
        inputs=feeders,
        uses=1,
        notes=(*done.notes, _FUNCTION_NOTE),
    )


def _shell(done: Done, path: str, parent: str | None, feeders: tuple[str, ...]) -> Layer:
    return Layer(
        path=path,
        name=path.rpartition(".")[2],
        kind="container",
        type="Sequential",
        module="torch.nn.modules.container",
        parent=parent,
        input_shapes=done.inputs,
        output_shapes=done.outputs,
        inputs=feeders,
        uses=1,
    )


def config_of(module: nn.Module) -> dict[str, Any]:
    """Plain public attributes: what the constructor kept, as in a pickled module."""
    kept = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    plain = (bool, int, float, str, tuple, list, type(None))
    return dict(json_value({name: value for name, value in kept.items() if isinstance(value, plain)}))


def _batch_note(module: nn.Module) -> tuple[Message, ...]:
    if getattr(module, "batch_first", True):
        return ()
    return (
        msg("batch_first is false: PyTorch reads the first axis of its input, the batch here, as the steps in time."),
    )
