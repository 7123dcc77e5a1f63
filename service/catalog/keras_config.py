"""A Keras configuration, of any version, as one tree of layer specifications with the graph between them.

Knows the JSON that Keras 1, 2 and 3 write: `{"class_name", "config"}` objects, lists of layers, inbound nodes.
Must not know weights, shapes' arithmetic or files. Nothing named in a configuration is ever looked up as code.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

from service.catalog.keras_classes import KIND_OF_CLASS, is_operation, snake_case
from service.errors import LimitExceeded, MalformedFile
from service.language import msg
from service.plain import MAX_TEXT, json_value, text, whole
from service.tree import Frozen, Shape

_ALSO_OPERATIONS = frozenset(
    {"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot", "Reshape", "Softmax"}
)
"""Classes of layers that share their name with a tensor operation of Keras 3."""


class Reference(Frozen, frozen=True, kw_only=True):
    """One tensor that feeds a layer: output `tensor` of call `node` of the sibling `layer`; shape if recorded."""

    layer: str
    node: int
    tensor: int
    shape: Shape | None = None


class Spec(Frozen, frozen=True, kw_only=True):
    """One layer, or one tensor operation, as configured.

    Attributes:
        name: As the user named it; made up from the class where the file does not say.
        class_name, module, registered: As recorded.
        config: Its arguments, as recorded.
        pointer: Where in the JSON it stands.
        build_shape: Input shape it was built with (Keras 3), else None.
        shared_id: Keras' number for an object that occurs more than once.
        operation: True for a bare tensor operation of a functional graph.
        calls: Per call, the tensors that feed it; None where its model has no graph of its own.
        layers: Layers of a nested model, in order; None for what is not a model with a layer list.
        outputs: The tensors a functional model returns.
        inputs: The names of its input layers.
        sequential: Whether the layers are one chain.
    """

    name: str
    class_name: str
    module: str | None
    registered: str | None
    config: dict[str, Any]
    pointer: str
    build_shape: Any = None
    shared_id: int | None = None
    operation: bool = False
    calls: tuple[tuple[Reference, ...], ...] | None = None
    layers: tuple[Spec, ...] | None = None
    outputs: tuple[Reference, ...] = ()
    inputs: tuple[str, ...] = ()
    sequential: bool = False

    @property
    def trainable(self) -> bool | None:
        """The layer's own switch, None if not recorded."""
        value = self.config.get("trainable")
        return value if isinstance(value, bool) else None

    @property
    def members(self) -> tuple[Spec, ...]:
        """The layers as Keras lists them: a Sequential model leaves its InputLayer out."""
        if not self.sequential:
            return self.layers or ()
        return tuple(layer for layer in self.layers or () if layer.class_name != "InputLayer")


class Counter:
    """Counts layers over one configuration and stops at the limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0

    def add(self) -> None:
        """One more layer; LimitExceeded past the limit."""
        self._count += 1
        if self._count > self._limit:
            raise LimitExceeded("layers", self._limit, msg("The configuration holds too many layers."))


def parse_model(document: dict[str, Any], limit: int, member: str | None = None) -> Spec:
    """The specification of a whole model from its JSON object; the depth is bounded by the JSON parser.

    Raises:
        MalformedFile: An object is not what Keras writes; `pointer` says which.
        LimitExceeded: More than `limit` layers.
    """
    try:
        return _spec(document, "", Counter(limit))
    except MalformedFile as error:
        raise error.within(member) if member else error from None


def parse_layer(value: Any, pointer: str = "") -> Spec | None:
    """The specification inside a wrapper's configuration, None if `value` is not one."""
    if not isinstance(value, dict) or not isinstance(value.get("class_name"), str):
        return None
    if not isinstance(value.get("config"), (dict, list)):
        return None
    return _spec(value, pointer, Counter(10_000))


def _spec(entry: dict[str, Any], pointer: str, counter: Counter) -> Spec:
    counter.add()
    class_name, config = entry.get("class_name"), entry.get("config")
    if not isinstance(class_name, str):
        raise MalformedFile(msg("A layer without a class name."), pointer=pointer or "/")
    if isinstance(config, list):  # Sequential of Keras 1 and early Keras 2
        config = {"layers": config}
    if not isinstance(config, dict):
        config = {}
    module = _text(entry.get("module"))
    layers = _layers(config.get("layers"), f"{pointer}/config/layers", counter)
    sequential = layers is not None and _is_chain(class_name, config)
    return Spec(
        name=_name(entry, config, class_name),
        class_name=text(class_name.rsplit(">", 1)[-1]),
        module=module,
        registered=_text(entry.get("registered_name")),
        config=config,
        pointer=pointer or "/",
        build_shape=_build_shape(entry),
        shared_id=whole(entry.get("shared_object_id")),
        operation=is_operation(class_name, module) or _is_nameless_operation(class_name, config, module),
        calls=_calls(entry.get("inbound_nodes")),
        layers=layers,
        sequential=sequential,
        outputs=() if sequential else tuple(_references(config.get("output_layers"))),
        inputs=() if sequential else tuple(found.layer for found in _references(config.get("input_layers"))),
    )


def _name(entry: dict[str, Any], config: dict[str, Any], class_name: str) -> str:
    for value in (config.get("name"), entry.get("name")):
        if isinstance(value, str) and value:
            return text(value)
    return snake_case(class_name) or "layer"


def _is_nameless_operation(class_name: str, config: dict[str, Any], module: str | None) -> bool:
    """Keras 3's operations in legacy files come without module, and with nothing but a name."""
    is_layer = class_name in KIND_OF_CLASS and class_name not in _ALSO_OPERATIONS
    return module is None and set(config) == {"name"} and not is_layer


def _is_chain(class_name: str, config: dict[str, Any]) -> bool:
    """A layer list without an account of its outputs is run one after the other."""
    return class_name == "Sequential" or "output_layers" not in config


def _layers(value: Any, pointer: str, counter: Counter) -> tuple[Spec, ...] | None:
    if not isinstance(value, list) or not all(isinstance(item, dict) and "class_name" in item for item in value):
        return None
    return tuple(_spec(item, f"{pointer}/{index}", counter) for index, item in enumerate(value))


def _build_shape(entry: dict[str, Any]) -> Any:
    build = entry.get("build_config")
    return build.get("input_shape", build.get("shapes_dict")) if isinstance(build, dict) else None


def _calls(nodes: Any) -> tuple[tuple[Reference, ...], ...] | None:
    if not isinstance(nodes, list):
        return None
    return tuple(tuple(_references(node)) for node in nodes)


def _references(value: Any) -> Iterator[Reference]:
    """Every tensor named in a node, in order: Keras 3 objects, or the `[layer, node, tensor, ...]` of Keras 1 and 2."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield from _keras_tensor(value.get("config"))
            return
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        if _is_triple(value):
            if value[1] >= 0:  # ["_CONSTANT_VALUE", -1, ...] stands for a constant
                yield Reference(layer=text(value[0]), node=value[1], tensor=value[2])
            value = value[3:]
        for item in value:
            yield from _references(item)


def _is_triple(value: list[Any]) -> bool:
    return (
        len(value) in (3, 4)
        and isinstance(value[0], str)
        and type(value[1]) is int
        and (type(value[2]) is int or value[1] < 0)
    )


def _keras_tensor(config: Any) -> Iterator[Reference]:
    history = config.get("keras_history") if isinstance(config, dict) else None
    if isinstance(history, list) and len(history) == 3 and _is_triple(history):
        yield Reference(layer=text(history[0]), node=history[1], tensor=history[2], shape=as_shape(config.get("shape")))


def plain_config(config: dict[str, Any]) -> dict[str, Any]:
    """`config` fit for a report; nearly always it is as it stands, and is not copied."""
    if _is_plain(config):
        return config
    plain: dict[str, Any] = json_value(config)
    return plain


def _is_plain(config: dict[str, Any]) -> bool:
    """Whether there is nothing in it that a report would shorten or replace; non-ASCII text is left to the long way."""
    open_values: list[Any] = [config]
    while open_values:
        value = open_values.pop()
        if type(value) is dict:
            open_values.extend(value)
            open_values.extend(value.values())
        elif type(value) is list:
            open_values.extend(value)
        elif type(value) is str:
            if len(value) > MAX_TEXT or not value.isascii():
                return False
        elif (type(value) is int and not -(2**63) <= value < 2**63) or (type(value) is float and not isfinite(value)):
            return False
    return True


def as_shape(value: Any) -> Shape | None:
    """Sizes from JSON, None if it is no shape; the first axis, the batch, is always None."""
    if not isinstance(value, (list, tuple)) or len(value) > 64:
        return None
    if not all(item is None or (type(item) is int and 0 <= item < 2**63) for item in value):
        return None
    return (None, *value[1:]) if value else ()


def _text(value: Any) -> str | None:
    return text(value) if isinstance(value, str) else None
