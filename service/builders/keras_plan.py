"""The plan of a Keras model, the same for every spelling of the spec; knows no framework and no spelling.

Plans are made by `keras_list` and `keras_config`, turned into layers by `keras_make`, run by `keras_run`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from service.language import Message
from service.tree import Shape

Form = Literal["input", "layer", "model", "operation", "opaque"]
"""opaque: known by name only (custom class, Lambda, an operation of another TensorFlow); never built."""


class Ref(msgspec.Struct, frozen=True):
    """One tensor: output `tensor` of the call number `node` of a layer; `shape`, `dtype` where the file tells."""

    layer: str
    node: int = 0
    tensor: int = 0
    shape: Shape | None = None
    dtype: str | None = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One use of a layer: nested lists and dicts of constants with `Ref` leaves."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = {}


class LayerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One layer to make.

    Attributes:
        pointer: Where it stands in the spec.
        type: Class name as written, for reports and errors.
        builds_as: Class that Keras 3 has for it.
        arguments: Constructor arguments in Keras 3's spelling, JSON values.
        recorded: Its config as stored, None where the spec is not Keras' own.
        hidden: An input that the framework does not list (a Sequential's).
        build_shape: Recorded shape(s) it was built with.
        output_shape: What a thing that is never built returns, where the file says it.
        weightless: Whether a thing that is never built has no weights for certain (an operation, a Lambda).
        shared_id: Equal for occurrences of one layer object.
    """

    pointer: str
    form: Form
    type: str
    name: str
    builds_as: str = ""
    module: str | None = None
    arguments: dict[str, Any] = {}
    recorded: dict[str, Any] | None = None
    calls: tuple[Call, ...] = ()
    model: ModelSpec | None = None
    hidden: bool = False
    trainable: bool | None = None
    build_shape: Any = None
    shared_id: int | None = None
    custom: bool = False
    output_shape: Shape | None = None
    weightless: bool = False
    notes: tuple[Message, ...] = ()

    @property
    def label(self) -> str:
        """How an error names it: `layers[3] (Conv2D)`, with the name where the spec gives one itself."""
        place = f" {self.name!r}" if self.recorded is not None else ""
        return f"{self.pointer} ({self.type}{place})"


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A model: layers in listing order, and which tensors enter and leave (nested lists or dicts of `Ref`)."""

    name: str | None
    type: str
    pointer: str
    layers: tuple[LayerSpec, ...]
    inputs: Any
    outputs: Any
    module: str | None = None
    trainable: bool = True


def refs(value: Any) -> list[Ref]:
    """All `Ref` leaves of nested arguments, left to right; dicts in key order, as Keras flattens them."""
    found: list[Ref] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Ref):
            found.append(item)
        elif isinstance(item, dict):
            waiting += [item[key] for key in sorted(item, reverse=True)]
        elif isinstance(item, list | tuple):
            waiting += reversed(item)
    return found


def chain(layers: tuple[LayerSpec, ...], entry: str) -> tuple[LayerSpec, ...]:
    """The layers wired one after the other, the first to the tensor of `entry`."""
    wired = []
    for layer in layers:
        wired.append(msgspec.structs.replace(layer, calls=(Call(args=(Ref(entry),)),)))
        entry = layer.name
    return tuple(wired)
