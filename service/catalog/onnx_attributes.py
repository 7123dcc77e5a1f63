"""Attributes of ONNX nodes as numbers, words and a layer's settings; knows no operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from service.parsers.onnx_messages import Attribute
from service.plain import json_value

MAX_LISTED = 64
"""Longest list of numbers or texts that is shown as it is."""

_Default = TypeVar("_Default", int, int | None)


def number(attributes: Mapping[str, Attribute], name: str, default: _Default) -> int | _Default:
    """A whole number; the default where the attribute is missing or something else."""
    found = attributes.get(name)
    return found.value if found is not None and type(found.value) is int else default


def numbers(attributes: Mapping[str, Attribute], name: str) -> tuple[int, ...] | None:
    """A list of whole numbers; None where the attribute is missing, something else, or too long to be kept."""
    found = attributes.get(name)
    if found is None or not isinstance(found.value, tuple) or found.size != len(found.value):
        return () if found is not None and found.value is None and not found.graphs and not found.tensors else None
    whole = tuple(one for one in found.value if type(one) is int)
    return whole if len(whole) == len(found.value) else None


def word(attributes: Mapping[str, Attribute], name: str) -> str | None:
    """A text; None where the attribute is missing or something else."""
    found = attributes.get(name)
    return found.value if found is not None and isinstance(found.value, str) else None


def settings(attributes: Mapping[str, Attribute]) -> dict[str, Any]:
    """The attributes as JSON values; tensors, graphs and long lists are described, not shown."""
    return {json_value(name): _shown(one) for name, one in attributes.items() if not one.graphs}


def _shown(one: Attribute) -> Any:
    if one.tensors or one.sparse:
        return "<tensor>"
    if one.size > MAX_LISTED:
        return f"<{one.size} values>"
    return json_value(list(one.value) if isinstance(one.value, tuple) else one.value)
