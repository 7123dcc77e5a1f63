"""Reads how a functional Keras config wires its layers: the inbound nodes of Keras 1, 2 and 3.

Knows the JSON of nodes and tensors; must not know how a layer is built. Source: `serialize_node` and
`serialize_keras_object` of Keras 3, `Node.serialize` and `get_network_config` of Keras 2.
"""

from __future__ import annotations

from typing import Any

import msgspec

from service.builders.common import invalid
from service.builders.keras_allowed import LIST_CALL, RECURRENT
from service.builders.keras_plan import Call, Ref
from service.catalog.keras_config import as_shape
from service.language import msg


class Constant(msgspec.Struct, frozen=True):
    """An array written into the config; nested lists of numbers."""

    value: Any
    dtype: str | None


def calls(nodes: Any, class_name: str, pointer: str) -> tuple[Call, ...]:
    """One `Call` for each inbound node. InvalidSpec where a node is not what Keras writes."""
    if nodes is None:
        return ()
    if not isinstance(nodes, list):
        raise invalid(f"{pointer}.inbound_nodes", msg("{place}: inbound_nodes must be a list.", place=pointer))
    places = ((node, f"{pointer}.inbound_nodes[{index}]") for index, node in enumerate(nodes))
    return tuple(
        _new_call(node, place) if _is_new(node) else _old_call(node, class_name, place) for node, place in places
    )


def tensors(value: Any, pointer: str) -> Any:
    """`input_layers` or `output_layers`: nested lists or dicts with `Ref` for every `[layer, node, tensor]`."""
    if is_triple(value):
        return _ref(value)
    if isinstance(value, list):
        return [tensors(item, f"{pointer}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, dict):
        return {key: tensors(item, f"{pointer}.{key}") for key, item in value.items()}
    raise invalid(pointer, msg("{place} must name tensors as [layer, node, tensor].", place=pointer))


def is_triple(value: Any) -> bool:
    """Whether `value` is `[layer, node, tensor]` or `[layer, node, tensor, kwargs]`."""
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and all(type(number) is int and number >= 0 for number in value[1:3])
        and (len(value) == 3 or isinstance(value[3], dict))
    )


def _ref(triple: list[Any]) -> Ref:
    return Ref(layer=triple[0], node=triple[1], tensor=triple[2])


def _is_new(node: Any) -> bool:
    return isinstance(node, dict) and "args" in node


def _new_call(node: dict[str, Any], pointer: str) -> Call:
    args, kwargs = node.get("args"), node.get("kwargs", {})
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise invalid(pointer, msg("{place} must hold a list args and an object kwargs.", place=pointer))
    decoded = [_decode(item, f"{pointer}.args[{index}]") for index, item in enumerate(args)]
    named = {key: _decode(item, f"{pointer}.kwargs.{key[:60]}") for key, item in kwargs.items()}
    return Call(args=tuple(decoded), kwargs=named)


def _decode(value: Any, pointer: str) -> Any:
    """A value as Keras 3 serialises it; the depth is bounded by the JSON parser."""
    if isinstance(value, list):
        return [_decode(item, f"{pointer}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if "class_name" not in value:
        return {key: _decode(item, f"{pointer}.{key[:60]}") for key, item in value.items()}
    config = value.get("config")
    special = _special(value["class_name"], config if isinstance(config, dict) else {})
    if special is None:
        name = str(value["class_name"])[:60]
        raise invalid(pointer, msg("{place}: a {type} cannot be an argument of a call here.", place=pointer, type=name))
    return special[0]


def _special(name: Any, config: dict[str, Any]) -> tuple[Any] | None:
    """The value in a 1-tuple (it may be anything); None if `name` is not one of Keras' markers for data."""
    if name == "__keras_tensor__" and is_triple(config.get("keras_history")):
        dtype = config.get("dtype")
        shape = as_shape(config.get("shape"))
        return (msgspec.structs.replace(_ref(config["keras_history"]), shape=shape, dtype=_text(dtype)),)
    if name == "__slice__" and all(_is_index(config.get(key)) for key in ("start", "stop", "step")):
        return (slice(config.get("start"), config.get("stop"), config.get("step")),)
    if name == "__ellipsis__":
        return (...,)
    if name in ("__tensor__", "__numpy__") and _is_numbers(config.get("value")):
        return (Constant(config["value"], _text(config.get("dtype"))),)
    if name == "DTypePolicy":
        return (_text(config.get("name")),)
    return None


def _old_call(node: Any, class_name: str, pointer: str) -> Call:
    """A node as a list of `[layer, node, tensor, kwargs]`; the first one's kwargs are the call's."""
    entries = [node] if _is_entry(node) else node
    if not isinstance(entries, list) or not entries:
        raise invalid(pointer, msg("{place} must list tensors as [layer, node, tensor, kwargs].", place=pointer))
    found = [_old_entry(entry, f"{pointer}[{index}]") for index, entry in enumerate(entries)]
    first = entries[0]
    given = first[3] if _is_entry(first) and len(first) == 4 else {}
    kwargs = {key: _old_value(value) for key, value in given.items()}
    if class_name in RECURRENT and len(found) > 1:
        return Call(args=(found[0],), kwargs={**kwargs, "initial_state": found[1:]})
    if class_name in LIST_CALL or class_name == "Merge" or len(found) > 1:
        return Call(args=(found,), kwargs=kwargs)
    return Call(args=(found[0],), kwargs=kwargs)


def _old_entry(entry: Any, pointer: str) -> Any:
    if is_triple(entry):
        return _ref(entry)
    if _is_constant(entry):
        return Constant(entry[2], None) if isinstance(entry[2], list) else entry[2]
    if isinstance(entry, list) and entry:
        return [_old_entry(item, f"{pointer}[{index}]") for index, item in enumerate(entry)]
    raise invalid(pointer, msg("{place} must be [layer, node, tensor, kwargs].", place=pointer))


def _old_value(value: Any) -> Any:
    if is_triple(value):
        return _ref(value)
    return [_old_value(item) for item in value] if isinstance(value, list) else value


def _is_entry(value: Any) -> bool:
    return is_triple(value) or _is_constant(value)


def _is_constant(value: Any) -> bool:
    return isinstance(value, list) and len(value) in (3, 4) and value[0] == "_CONSTANT_VALUE" and value[1] == -1


def _is_index(value: Any) -> bool:
    return value is None or type(value) is int


def _is_numbers(value: Any) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif not isinstance(item, bool | int | float):
            return False
    return True


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
