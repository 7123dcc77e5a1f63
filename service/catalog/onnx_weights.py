"""The fixed inputs of one ONNX node as a layer's weights: roles by position, axis order, ties, packing; knows no graph.

ONNX does not say what is trained, unless training information lists what an algorithm updates. Moving statistics,
scales of quantisation and what only steers an operator (shapes, axes, limits) never learn by gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from service.catalog.onnx_attributes import number
from service.catalog.onnx_constants import Const, Value, View
from service.catalog.onnx_ops import CONVOLUTIONS, FLOATS, LAYOUTS, OUT_IN, SLOTS, STATISTICS, free_role, slot
from service.parsers.onnx_messages import Attribute
from service.tree import Group, Source, Weight

_MATRICES = frozenset(
    {"MatMul", "FusedMatMul", "TransposeMatMul", "FusedMatMulActivation", "Gemm", "FusedGemm", "GemmFloat8",
     "MatMulInteger", "MatMulInteger16", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearMatMul", "QGemm"}
)  # fmt: skip


class Slot(NamedTuple):
    """A fixed input: its place, the name and role that the operator gives it, and the constant."""

    place: int
    name: str
    role: str
    view: View


def slots_of(op: str, inputs: Sequence[Value | None]) -> list[Slot]:
    """The inputs of an operator that are constants; one given again where inputs are as many as one likes is one."""
    named = len(SLOTS.get(op, ()))
    found: list[Slot] = []
    seen: set[int] = set()
    for index, value in enumerate(inputs):
        if value is None or value.view is None or (index >= named and id(value.view.const) in seen):
            continue
        seen.add(id(value.view.const))
        found.append(Slot(index, *slot(op, index), value.view))
    return found


class Share(NamedTuple):
    """One weight of a layer, whatever it is called in the file: which input's view, and which constant of it.

    `part` is 0 for the constant itself, 1 for its scale, 2 for its zero point and 3 for the sizes it was filled for;
    `weight` has everything but name, place and ties.
    """

    place: int
    part: int
    weight: Weight

    def const(self, inputs: Sequence[Value | None]) -> Const | None:
        """The constant among those of a node's inputs."""
        value = inputs[self.place]
        view = value.view if value is not None else None
        return None if view is None else (view.const, view.scale, view.zero, view.sizes)[self.part]


def shares_of(
    op: str, slots: Sequence[Slot], attributes: Mapping[str, Attribute], trained: frozenset[str] | None
) -> tuple[Share, ...]:
    """A weight per fixed input, each followed by the scale and zero point it is dequantised with.

    `trained` are the initializers that training updates; None where the file does not say.
    """
    found: list[Share] = []
    for one in slots:
        role = one.role if one.role or _is_fixed(op) else free_role(op, one.view.const.dtype, one.view.const.count)
        role = _told(op, one, role, attributes)
        kernel = _unnamed(one.name, role, one.view.const, trained)
        found.append(Share(one.place, 0, _unpacked(kernel, op, one, attributes)))
        extras = (("scale", "quant_scale", one.view.scale), ("zero_point", "zero_point", one.view.zero),
                  ("shape", "constant", one.view.sizes))  # fmt: skip
        for part, (extra, kind, const) in enumerate(extras, 1):
            if const is not None:
                found.append(Share(one.place, part, _unnamed(f"{one.name}_{extra}", kind, const, trained)))
    return tuple(found)


def _is_fixed(op: str) -> bool:
    """Whether an operator's table says of every input what it is for."""
    return op in SLOTS and all(role for _, role in SLOTS[op][1:])


def _told(op: str, one: Slot, role: str, attributes: Mapping[str, Attribute]) -> str:
    """The role once the constant is seen: a table of indices is no embedding, a factor no kernel."""
    shape, dtype = one.view.const.shape, one.view.const.dtype or ""
    quantised = one.view.scale is not None
    if op == "Gather":
        table = one.place == 0 and shape is not None and len(shape) == 2 and not number(attributes, "axis", 0)
        if table and (dtype.startswith(FLOATS) or quantised):
            return "embedding"
        return free_role(op, dtype, one.view.const.count)
    if op in _MATRICES and not role and shape is not None and len(shape) > 1:
        return "kernel"
    if not role:
        return free_role(op, "float" if quantised else dtype, one.view.const.count)
    return role


def _layout(op: str, one: Slot, role: str, attributes: Mapping[str, Attribute]) -> str | None:
    shape = one.view.const.shape
    if role not in ("kernel", "packed_kernel", "qkv_kernel") or shape is None or one.view.reshaped:
        return None
    family = CONVOLUTIONS.get(op)
    if family is not None:
        return LAYOUTS[family][len(shape) - 3] if 3 <= len(shape) <= 5 and not one.view.turned else None
    if op in OUT_IN:
        return "out-in"
    if len(shape) != 2 or (op not in _MATRICES and role != "qkv_kernel"):
        return None
    second = one.place != 0
    turned = bool(number(attributes, "transB" if second else "transA", 0)) != one.view.turned
    return "out-in" if turned == second else "in-out"


def weight_of(path: str, name: str, role: str, const: Const, trained: frozenset[str] | None) -> Weight:
    """A constant as the weight `name` of the layer at `path`."""
    return placed(path, _unnamed(name, role, const, trained), const)


def _unnamed(name: str, role: str, const: Const, trained: frozenset[str] | None) -> Weight:
    group, trainable, source = _trained(const, role, trained)
    return Weight(
        name=name, role=role, shape=const.shape, dtype=const.dtype, count=const.count, group=group,
        trainable=trainable, trainable_source=source, stored_count=const.stored,
    )  # fmt: skip


def placed(path: str, like: Weight, const: Const) -> Weight:
    """A constant as a weight like `like` of the layer at `path`.

    One that no layer had before becomes that of this layer; later ones are tied to it.
    """
    tied = const.owner.path
    if tied is None:
        const.owner.path = f"{path}/{like.name}"
    return Weight(
        name=like.name, role=like.role, shape=like.shape, dtype=like.dtype, count=like.count, group=like.group,
        trainable=like.trainable, trainable_source=like.trainable_source, stored_as=const.name,
        stored_count=like.stored_count, bytes=const.bytes, layout=like.layout, tied_to=tied, location=const.location,
    )  # fmt: skip


def _unpacked(weight: Weight, op: str, one: Slot, attributes: Mapping[str, Attribute]) -> Weight:
    """The weight with its axis order; a kernel packed in blocks of a few bits with the sizes it stands for."""
    layout = _layout(op, one, weight.role, attributes)
    if op in OUT_IN and weight.role == "packed_kernel":
        units, inputs = number(attributes, "N", -1), number(attributes, "K", -1)
        if min(units, inputs) >= 0:
            return msgspec.structs.replace(
                weight, shape=(units, inputs), count=units * inputs, stored_count=weight.count, layout=layout
            )
    return weight if layout is None else msgspec.structs.replace(weight, layout=layout)


def _trained(const: Const, role: str, trained: frozenset[str] | None) -> tuple[Group, bool | None, Source]:
    if role in STATISTICS or const.name is None:
        return "statistic", False, "rule"
    if not (const.dtype or "").startswith(FLOATS):
        return "frozen", False, "rule"
    if trained is None:
        return "unknown", None, "unknown"
    learns = const.name in trained
    return "trainable" if learns else "frozen", learns, "recorded"
