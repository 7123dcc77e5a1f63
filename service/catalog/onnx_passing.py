"""ONNX nodes that only hold or pass on constants, so that what they hold belongs to the layer that uses it.

Constant, ConstantOfShape, and Identity, Cast, Transpose and dequantisation of constants. Knows no layer and no path.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.catalog.onnx_attributes import number, numbers
from service.catalog.onnx_constants import Const, Store, Value, View
from service.catalog.onnx_scopes import Step
from service.catalog.onnx_types import name_of

_MATRIX = 2


def constant(const: Const) -> Value:
    """The value that a constant is."""
    view = tuple.__new__(View, (const, False, False, None, None, None, ()))
    return tuple.__new__(Value, ((), const.shape, const.dtype, const.ints, view))


def passed(store: Store, step: Step) -> Value | None:
    """The constant that a node holds or passes on; None if it is a layer."""
    node, attributes, ins = step.node, step.attributes, step.ins
    if len(node.outputs) != 1:
        return None
    if node.op == "Constant":
        made = store.constant(attributes, node.outputs[0])
        return None if made is None else constant(made)
    first = ins[0] if ins else None
    view = first.view if first is not None else None
    if first is None or view is None:
        return None
    if node.op == "ConstantOfShape" and first.ints is not None and None not in first.ints:
        made = store.filled(attributes, tuple(size for size in first.ints if size is not None))
        return constant(made)._replace(view=View(made, sizes=view.const))
    if node.op == "Identity":
        return first
    if node.op == "Cast":
        return first._replace(dtype=name_of(number(attributes, "to", 0)) or first.dtype)
    if node.op == "Transpose":
        return _turned(first, view, numbers(attributes, "perm"))
    if node.op in ("DequantizeLinear", "QuantizeLinear"):
        return _dequantised(first, view, ins[1:])
    return None


def _turned(value: Value, view: View, order: tuple[int, ...] | None) -> Value | None:
    if value.shape is None or (order is not None and sorted(order) != list(range(len(value.shape)))):
        return None
    order = order if order is not None else tuple(range(len(value.shape)))[::-1]
    shape = tuple(value.shape[axis] for axis in order)
    plain = len(shape) == _MATRIX
    view = view._replace(turned=view.turned != (order == (1, 0))) if plain else view._replace(reshaped=True)
    return value._replace(shape=shape, view=view, ints=None)


def _dequantised(value: Value, view: View, beside: Sequence[Value | None]) -> Value | None:
    """A constant with its scale and zero point; None if those are not constant, or are others than it has."""
    views = [one.view for one in beside if one is not None]
    if not views or any(one is None for one in views):
        return None
    scale, *rest = [one.const for one in views if one is not None]
    if view.scale is not None and view.scale is not scale:
        return None
    zero = view.zero or next(iter(rest), None)
    return value._replace(view=view._replace(scale=scale, zero=zero), dtype=scale.dtype, ints=None)
