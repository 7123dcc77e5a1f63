"""Sizes after ONNX operators that rearrange, cut out, repeat or join values without computing; knows no file.

Source: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service.catalog.onnx_attributes import number, numbers, word
from service.catalog.onnx_call import Call, part, times, together
from service.catalog.onnx_constants import MAX_INTS
from service.tree import Shape

Rule = Callable[[Call], list[Shape | None]]
_MAX_FACTOR = 1 << 20
SCALED = frozenset({"Resize", "Upsample"})
"""Operators whose sizes follow from fractions."""


def _reshape(call: Call) -> list[Shape | None]:
    value = call.ins[1] if call.given(1) else None
    old: tuple[int | None, ...] | None = numbers(call.attributes, "shape")
    wanted = value.ints if value is not None else old
    shape = call.shape(0)
    if wanted is None:
        rank = value.shape[0] if value is not None and value.shape and len(value.shape) == 1 else None
        return [(None,) * rank if rank is not None and rank <= MAX_INTS else None]
    keep = not number(call.attributes, "allowzero", 0)
    if keep and shape is None and 0 in wanted:
        shape = (None,) * len(wanted)
    found: list[int | None] = [
        (shape[axis] if shape is not None and axis < len(shape) else None) if size == 0 and keep else size
        for axis, size in enumerate(wanted)
    ]
    copied = next((axis for axis, size in enumerate(wanted) if size != 0), 0) if keep else 0
    return [_filled(found, shape, copied)]


def _filled(wanted: list[int | None], shape: Shape | None, copied: int) -> Shape:
    """The wanted sizes with the -1 among them worked out where everything else is known, else None for it.

    The first `copied` sizes are those of the input, so that both may be open: the others still tell the rest.
    """
    if -1 not in wanted:
        return tuple(wanted)
    at = wanted.index(-1)
    rest, inside = tuple(size for axis, size in enumerate(wanted) if axis != at), shape or (None,)
    if copied <= min(at, len(inside)):
        rest, inside = rest[copied:], inside[copied:]
    whole, part = times(inside), times(rest)
    size = whole // part if whole is not None and part and whole % part == 0 else None
    return tuple(size if axis == at else other for axis, other in enumerate(wanted))


def _flatten(call: Call) -> list[Shape | None]:
    shape, axis = call.shape(0), number(call.attributes, "axis", 1)
    if shape is None or axis is None or not -len(shape) <= axis <= len(shape):
        return [None]
    axis = axis + len(shape) if axis < 0 else axis
    return [(times(shape[:axis]), times(shape[axis:]))]


def _transpose(call: Call) -> list[Shape | None]:
    shape, order = call.shape(0), numbers(call.attributes, "perm")
    if shape is None:
        return [None if order is None else (None,) * len(order)]
    order = order if order is not None else tuple(range(len(shape)))[::-1]
    return [tuple(shape[axis] for axis in order) if sorted(order) == list(range(len(shape))) else None]


def _concat(call: Call) -> list[Shape | None]:
    shapes = [one.shape for one in call.ins if one is not None]
    known = [shape for shape in shapes if shape is not None]
    axis = number(call.attributes, "axis", None)
    rank = len(known[0]) if known else 0
    if axis is None or any(len(shape) != rank for shape in known) or not -rank <= axis < rank:
        return [None]
    axis %= rank
    beside = [next((shape[at] for shape in known if shape[at] is not None), None) for at in range(rank)]
    whole = tuple(shape[axis] for shape in known) if len(known) == len(shapes) else (None,)
    added = None if None in whole else sum(size for size in whole if size is not None)
    return [tuple(added if at == axis else size for at, size in enumerate(beside))]


def _squeeze(call: Call) -> list[Shape | None]:
    shape, axes = call.shape(0), call.ints(1, "axes")
    if shape is None:
        return [None]
    if axes is None:
        bare = not call.given(1) and None not in shape
        return [tuple(size for size in shape if size != 1) if bare else None]
    gone = {axis % len(shape) for axis in axes if shape}
    return [tuple(size for axis, size in enumerate(shape) if axis not in gone)]


def _unsqueeze(call: Call) -> list[Shape | None]:
    shape, axes = call.shape(0), call.ints(1, "axes")
    if shape is None or axes is None:
        return [None]
    rank = len(shape) + len(axes)
    new, rest = {axis % rank for axis in axes}, iter(shape)
    return [tuple(1 if axis in new else next(rest, None) for axis in range(rank))]


def _slice(call: Call) -> list[Shape | None]:
    shape, starts, ends = call.shape(0), call.ints(1, "starts"), call.ints(2, "ends")
    if shape is None:
        return [None]
    axes = call.ints(3, "axes")
    if axes is None:
        axes = tuple(range(len(starts or ()))) if not call.given(3) else None
    steps = call.ints(4, "steps") if call.given(4) else (1,) * len(axes or ())
    found: list[int | None] = list(shape)
    if axes is None or any(not -len(shape) <= axis < len(shape) for axis in axes):
        return [(None,) * len(shape)]
    for index, axis in enumerate(axes):
        size = shape[axis]
        whole = starts is not None and ends is not None and steps is not None
        if whole and size is not None and index < min(len(starts or ()), len(ends or ()), len(steps or ())):
            found[axis] = _span(size, (starts or ())[index], (ends or ())[index], (steps or ())[index])
        else:
            found[axis] = None
    return [tuple(found)]


def _span(size: int, start: int, end: int, step: int) -> int | None:
    return None if step == 0 else len(range(*slice(start, end, step).indices(size))) if size < 1 << 62 else None


def _split(call: Call) -> list[Shape | None]:
    shape, axis = call.shape(0), number(call.attributes, "axis", 0)
    if shape is None or axis is None or not -len(shape) <= axis < len(shape):
        return [None] * call.outs
    axis %= len(shape)
    sizes: Sequence[int | None] | None = call.ints(1, "split")
    whole = shape[axis]
    if sizes is None or len(sizes) != call.outs:
        even = not call.given(1) and whole is not None and call.outs and whole % call.outs == 0
        sizes = [whole // call.outs if even and whole is not None else None] * call.outs
    return [tuple(size if at == axis else old for at, old in enumerate(shape)) for size in sizes]


def _pad(call: Call) -> list[Shape | None]:
    shape, pads = call.shape(0), call.ints(1, "pads")
    if shape is None:
        return [None]
    if pads is None or call.given(3) or len(pads) != 2 * len(shape):
        return [(None,) * len(shape)]
    return [tuple(None if size is None else size + a + b
                  for size, a, b in zip(shape, pads[: len(shape)], pads[len(shape) :], strict=True))]  # fmt: skip


def _resize(call: Call) -> list[Shape | None]:
    shape, sizes = call.shape(0), call.ints(3)
    if shape is None or "axes" in call.attributes or word(call.attributes, "keep_aspect_ratio_policy") is not None:
        return [None]
    if sizes is not None:
        return [sizes if len(sizes) == len(shape) else None]
    value = call.ins[1 if call.op == "Upsample" else 2] if call.given(1 if call.op == "Upsample" else 2) else None
    factors = value.view.const.floats if value is not None and value.view is not None else None
    if factors is None or len(factors) != len(shape) or any(not 0 <= factor < _MAX_FACTOR for factor in factors):
        return [None]
    return [tuple(None if size is None else int(size * factor) for size, factor in zip(shape, factors, strict=True))]


def _gather(call: Call) -> list[Shape | None]:
    shape, indices, axis = call.shape(0), call.shape(1), number(call.attributes, "axis", 0)
    if shape is None or indices is None or axis is None or not -len(shape) <= axis < len(shape):
        return [None]
    axis %= len(shape)
    return [(*shape[:axis], *indices, *shape[axis + 1 :])]


def _expand(call: Call) -> list[Shape | None]:
    shape, wanted = call.shape(0), call.ins[1].ints if len(call.ins) > 1 and call.ins[1] is not None else None
    return [None if shape is None or wanted is None else together([shape, wanted])]


def _tile(call: Call) -> list[Shape | None]:
    shape, repeats = call.shape(0), call.ints(1)
    if shape is None or repeats is None or len(repeats) != len(shape):
        return [None if shape is None else (None,) * len(shape)]
    return [tuple(None if size is None else size * times for size, times in zip(shape, repeats, strict=True))]


def _shape_of(call: Call) -> list[Shape | None]:
    shape = call.shape(0)
    return [None if shape is None else (len(part(call, shape)),)]


def _blocks(call: Call) -> list[Shape | None]:
    shape, size = call.shape(0), number(call.attributes, "blocksize", None)
    if shape is None or len(shape) != 4 or not size or None in shape[1:]:
        return [None]
    channels, height, width = (one or 0 for one in shape[1:])
    if call.op == "DepthToSpace":
        return [(shape[0], channels // size**2, height * size, width * size)]
    return [(shape[0], channels * size**2, height // size, width // size)]


RULES: dict[str, Rule] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Concat": _concat,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Slice": _slice,
    "Split": _split,
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
    "Gather": _gather,
    "Expand": _expand,
    "Tile": _tile,
    "Shape": _shape_of,
    "DepthToSpace": _blocks, "SpaceToDepth": _blocks,
}  # fmt: skip
"""Operator -> rule on the sizes of its outputs."""
