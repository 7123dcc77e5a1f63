"""Layers of pnnx files: PyTorch's own operations with named parameters, whose weights are members of a zip.

pnnx writes `@weight=(64,3,7,7)f32` for an array, `#0=(1,3,224,224)f32` for the shape of a blob, `$input=0` for the name
of an argument. Source: ncnn's tools/pnnx/README.md and `ir.cpp`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from service.catalog.counting import check_weights
from service.catalog.named_weights import group_of
from service.catalog.ncnn_model import paths_of
from service.catalog.torch_dtypes import stored_bytes
from service.catalog.torch_layers import KINDS, layout_of, role_of
from service.config import Limits
from service.parsers.ncnn import Entry
from service.plain import json_value, text
from service.tree import Layer, Shape, Weight, element_count

_ARRAY = re.compile(r"\(((?:\d{1,18}|\?)?(?:,(?:\d{1,18}|\?))*),?\)([a-z0-9]{2,8})")
_DTYPES = {"f32": "float32", "f64": "float64", "f16": "float16", "bf16": "bfloat16", "i32": "int32", "i64": "int64",
           "i16": "int16", "i8": "int8", "u8": "uint8", "bool": "bool", "c64": "complex64", "c128": "complex128",
           "c32": "complex32"}  # fmt: skip
_MARKS = ("@", "#", "$")


def is_pnnx(entries: tuple[Entry, ...]) -> bool:
    """Whether the layers are pnnx's: their types have PyTorch's dots and their parameters names."""
    return any(entry.type.startswith(("pnnx.", "nn.", "F.", "torch.", "aten::", "prim::")) for entry in entries)


def pnnx_layers(entries: tuple[Entry, ...], limits: Limits) -> tuple[Layer, ...]:
    """The layers of a pnnx graph, with the arrays that its parameters announce.

    Raises:
        LimitExceeded: More arrays than one analysis may describe.
    """
    paths = paths_of(entries)
    producers = {blob: path for entry, path in zip(entries, paths, strict=True) for blob in entry.outputs}
    layers = []
    made = 0
    for entry, path in zip(entries, paths, strict=True):
        layer = _layer(entry, path, producers)
        made += len(layer.weights)
        check_weights(made, limits)
        layers.append(layer)
    return tuple(layers)


def _layer(entry: Entry, path: str, producers: Mapping[str, str]) -> Layer:
    short = entry.type.rpartition(".")[2]
    kind = _kind(entry.type, short)
    arrays = {
        key[1:]: found
        for key, value in entry.params.items()
        if isinstance(key, str) and key.startswith("@") and (found := _array(value)) is not None
    }
    return Layer(
        path=path,
        name=text(entry.name, 1000),
        type=text(short if entry.type.startswith("nn.") else entry.type, 200),
        kind=kind,
        config=_config(entry),
        output_shapes=_shapes(entry),
        inputs=tuple(producers[blob] for blob in entry.inputs if blob in producers),
        weights=tuple(_weight(name, *one, kind, tuple(arrays), path) for name, one in arrays.items()),
    )


def _kind(type_name: str, short: str) -> str:
    if type_name == "pnnx.Input":
        return "input"
    if type_name == "pnnx.Attribute":
        return "parameter"
    return KINDS.get(short, "custom") if type_name.startswith("nn.") else "operation"


def _weight(name: str, shape: Shape, dtype: str | None, kind: str, siblings: tuple[str, ...], path: str) -> Weight:
    role = role_of(kind, name, siblings) or ("parameter" if kind == "parameter" else "weight")
    group, trainable, why = group_of(role, dtype)
    count = element_count(shape)
    return Weight(
        name=text(name, 500), role=role, shape=shape, dtype=dtype, count=count, bytes=stored_bytes(dtype, count),
        layout=layout_of(kind, role, len(shape)), group=group, trainable=trainable,
        trainable_source=why, stored_as=text(f"{path}.{name}", 1000),
    )  # fmt: skip


def _array(value: Any) -> tuple[Shape, str | None] | None:
    found = _ARRAY.fullmatch(_joined(value))
    if found is None:
        return None
    sizes = tuple(None if size == "?" else int(size) for size in found[1].split(",") if size)
    return sizes, _DTYPES.get(found[2], found[2])


def _joined(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _shapes(entry: Entry) -> tuple[Shape, ...] | None:
    """The shapes of the outputs, where every one of them is told."""
    found = [_array(entry.params.get(f"#{blob}", "")) for blob in entry.outputs]
    known = tuple(one[0] for one in found if one is not None)
    return known if known and len(known) == len(found) else None


def _config(entry: Entry) -> dict[str, Any]:
    return {
        text(str(key), 200): _setting(value)
        for key, value in entry.params.items()
        if not str(key).startswith(_MARKS)
    }


def _setting(value: Any) -> Any:
    """`(1,1)`, `True`, `64`, `1.0e-05` as what they say; anything else as text."""
    if not isinstance(value, str):
        return json_value(value)
    words = {"True": True, "False": False, "None": None}
    if value in words:
        return words[value]
    if value.startswith("(") and value.endswith(")"):
        return [_number(item) for item in value[1:-1].split(",") if item]
    return _number(value)


def _number(value: str) -> Any:
    try:
        return int(value) if len(value) < 18 and value.removeprefix("-").isdigit() else json_value(float(value[:30]))
    except ValueError:
        return text(value, 1000)
