"""On which axis the examples of a batch lie, in models whose recurrent layers take the steps in time first.

ONNX' LSTM takes `[steps, batch, features]` and gives `[steps, directions, batch, units]`: an open first size there is
the number of steps, not of examples. The axis is followed from those layers back to the model's inputs and on to its
outputs, through what moves axes. Knows layers and their recorded shapes; must not know costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from service.tree import Layer, Shape

Axis = int | None
"""Where the examples lie, counted from the front or, below 0, from the end; None where no open size is theirs or it is
not known which is."""

_ONNX = frozenset({"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"})
_BLOCKS = frozenset({"BlockLSTM", "BlockLSTMV2"})
"""TensorFlow's, of three axes in and out."""
_OF_STEPS_FIRST = -2
"""In all inputs and outputs of such layers: only features come behind the examples."""


def examples_axes(
    layers: Sequence[Layer], sources: Sequence[tuple[int, ...] | None]
) -> tuple[list[Axis], list[Axis]] | None:
    """For every layer the axis of the examples in its inputs and in its outputs.

    None where no layer takes steps first: then it is the first axis everywhere.
    """
    first = [_steps_first(layer) for layer in layers]
    if not any(first):
        return None
    asked = _asked(layers, sources, first)
    entering: list[Axis] = [_OF_STEPS_FIRST if one else 0 for one in first]
    leaving = list(entering)
    for number, layer in enumerate(layers):
        if first[number]:
            continue
        feeders = sources[number]
        if not feeders:
            entering[number] = leaving[number] = asked[number]
        else:
            feeder = next((one for one in feeders if one < number), None)
            entering[number] = None if feeder is None else leaving[feeder]
            leaving[number] = _moved(layer, entering[number])
    return entering, leaving


def _steps_first(layer: Layer) -> bool:
    if layer.type in _BLOCKS:
        return True
    if layer.type not in _ONNX or layer.config.get("layout"):
        return False
    return any(weight.role == "recurrent_kernel" and len(weight.shape or ()) == 3 for weight in layer.weights)


def _asked(
    layers: Sequence[Layer], sources: Sequence[tuple[int, ...] | None], first: Sequence[bool]
) -> list[Axis]:
    """Where the layers behind want the examples in each layer's output, followed back; the first axis without."""
    asked: dict[int, Axis] = {}
    for number in range(len(layers) - 1, -1, -1):
        wanted: Axis = _OF_STEPS_FIRST if first[number] else None
        if not first[number] and number in asked:
            wanted = _moved_back(layers[number], asked[number])
        if wanted is not None:
            for source in sources[number] or ():
                asked.setdefault(source, wanted)
    return [asked.get(number, 0) for number in range(len(layers))]


def _moved(layer: Layer, axis: Axis) -> Axis:
    """The axis of the outputs that is `axis` of the inputs."""
    before = _shape(layer.input_shapes)
    if layer.type == "Transpose":
        order, place = _order(layer), _from_front(axis, before)
        return order.index(place) if order is not None and place in order else None
    if layer.type == "Gather":
        return _without(layer.config.get("axis", 0), axis, before, _shape(layer.output_shapes))
    return _across(layer, axis, before, _shape(layer.output_shapes))


def _moved_back(layer: Layer, axis: Axis) -> Axis:
    """The axis of the inputs that becomes `axis` of the outputs."""
    after = _shape(layer.output_shapes)
    if layer.type == "Transpose":
        order, place = _order(layer), _from_front(axis, after)
        return order[place] if order is not None and place is not None and place < len(order) else None
    return None if layer.type == "Gather" else _across(layer, axis, after, _shape(layer.input_shapes))


def _across(layer: Layer, axis: Axis, one: Shape | None, other: Shape | None) -> Axis:
    """The axis of `other` that is `axis` of `one`: shapes on both sides of a layer that leaves axes in their order."""
    place = _from_front(axis, one)
    if layer.kind == "input":
        return axis
    if place is None or one is None or other is None:
        return None
    if one[: place + 1] == other[: place + 1] and _beside(one, place) == _beside(other, place):
        return place
    if layer.kind != "reshape":
        return place if len(one) == len(other) and one[place] == other[place] else None
    return _aligned(one, other, place)


def _beside(shape: Shape, axis: int) -> tuple[int, int]:
    """Elements for each of the axis, open sizes told by their number; of layers that compute only the last differs."""
    rest = [size for place, size in enumerate(shape) if place != axis]
    return rest.count(None), prod(size for size in rest if size is not None)


def _aligned(one: Shape, other: Shape, axis: int) -> Axis:
    """Where an axis lies if only axes of one element have come or gone."""
    kept = [place for place, size in enumerate(one) if size != 1]
    now = [place for place, size in enumerate(other) if size != 1]
    if axis not in kept or [one[place] for place in kept] != [other[place] for place in now]:
        return None
    return now[kept.index(axis)]


def _without(gone: object, axis: Axis, before: Shape | None, after: Shape | None) -> Axis:
    """Where an axis lies once another is taken out; None where that cannot be told, or it is itself that goes."""
    place = _from_front(axis, before)
    rank = len(before or ())
    if place is None or after is None or type(gone) is not int or not -rank <= gone < rank or gone % rank == place:
        return None
    return place - (gone % rank < place) if len(after) == rank - 1 else None


def _order(layer: Layer) -> list[int] | None:
    """Of a transposition: for each axis of the output that of the input; reversed without the setting."""
    order = layer.config.get("perm")
    if order is None:
        shape = _shape(layer.input_shapes)
        return None if shape is None else list(range(len(shape)))[::-1]
    if not isinstance(order, list | tuple) or any(type(one) is not int for one in order):
        return None
    return list(order) if sorted(order) == list(range(len(order))) else None


def _from_front(axis: Axis, shape: Shape | None) -> Axis:
    if axis is None or axis >= 0:
        return axis if axis is None or shape is None or axis < len(shape) else None
    return len(shape) + axis if shape is not None and len(shape) + axis >= 0 else None


def _shape(shapes: tuple[Shape, ...] | None) -> Shape | None:
    return shapes[0] if shapes else None
