"""The transform between two weights in words and parameters; knows conventions, no numbers.

`parameters` are what a program needs to carry it out on the stored arrays: NumPy's `transpose` axes, the order of
blocks, rows of a stacked weight.
"""

from __future__ import annotations

from math import prod
from typing import Any

from service.compare.matched import Rotary
from service.compare.slots import SlotPair
from service.compare.units import Slot, View
from service.comparisons import Transform
from service.language import Message, msg, sentences

Piece = tuple[str, Message, dict[str, Any]]


def transform(pair: SlotPair, rotary: Rotary | None = None) -> Transform | None:
    """How the left weight becomes the right one; None where one is missing or sizes do not fit."""
    if not pair.left or not pair.right or not pair.fits:
        return None
    left, right = pair.left[0], pair.right[0]
    pieces = [piece for piece in (_rows(pair), _sum(pair), _axes(left.view, right.view, pair.swapped), _flat(pair),
                                  _gates(left, right), _rotary(rotary),
                                  _codes(pair) or _cast(left.view, right.view)) if piece is not None]  # fmt: skip
    if not pieces:
        return Transform(code="identity", text=msg("The same array."))
    parameters = {key: value for _, _, given in pieces for key, value in given.items()}
    text = pieces[0][1] if len(pieces) == 1 else sentences(*(piece[1] for piece in pieces))
    return Transform(code=" + ".join(piece[0] for piece in pieces), text=text, parameters=parameters)


def _rows(pair: SlotPair) -> Piece | None:
    """A part of a weight that holds several, on one side."""
    left, right = pair.left[0].view.rows, pair.right[0].view.rows
    if left is None and right is None:
        return _halves(pair)
    if (left is None) == (right is None):
        return None
    rows = left or right or (0, 0)
    text = (
        msg("Rows {start} to {stop} of the left array.", start=rows[0], stop=rows[1])
        if left
        else msg("It becomes rows {start} to {stop} of the right array.", start=rows[0], stop=rows[1])
    )
    return ("split" if left else "stack"), text, {"rows": list(rows)}


def _halves(pair: SlotPair) -> Piece | None:
    """Elements of a vector that holds several, on one side."""
    left, right = (_elements(slots[0].view) for slots in (pair.left, pair.right))
    if (left is None) == (right is None):
        return None
    start, stop = left or right or (0, 0)
    text = (
        msg("Elements {start} to {stop} of the left array.", start=start, stop=stop)
        if left
        else msg("It becomes elements {start} to {stop} of the right array.", start=start, stop=stop)
    )
    return ("split" if left else "stack"), text, {"elements": [start, stop]}


def _elements(view: View) -> tuple[int, int] | None:
    """First and last element that a part of a folded array is."""
    if view.part is None or view.fold is None:
        return None
    each = prod(view.fold[1:])
    return view.part[0] * each, view.part[1] * each


def _sum(pair: SlotPair) -> Piece | None:
    if len(pair.left) == len(pair.right):
        return None
    if len(pair.left) > 1:
        text = msg("The two biases are added up.")
    else:
        text = msg("The one bias is the sum of two: put it into one and zero into the other.")
    return "bias_sum", text, {}


def _axes(left: View, right: View, swapped: bool) -> Piece | None:
    """The permutation from the stored left to the stored right array; with reshapes in words only."""
    if left.fold is None and right.fold is None and _plain(left) and _plain(right):
        return _permutation(left, right, swapped)
    if swapped:
        return "transpose", msg("Transposed."), {"axes": [1, 0]}
    if any(view.rows is not None or view.part is not None for view in (left, right)):
        return None
    if (left.weight.shape, left.axes) == (right.weight.shape, right.axes):
        return None
    text = msg(
        "The left array {left} is read as {canonical}, which is the right array {right}.",
        left=_shown(left.weight.shape), canonical=_shown(left.shape), right=_shown(right.weight.shape),
    )  # fmt: skip
    return _reshape_code(left, right), text, _reshape_parameters(left, right)


def _plain(view: View) -> bool:
    """Whether canonical axes are stored axes, without a reshape."""
    return view.shape is not None and len(view.shape) == len(view.weight.shape or ())


def _reshape_code(left: View, right: View) -> str:
    turned = (left.axes or (0,)) != tuple(range(len(left.axes or (0,)))) or (right.axes or (0,)) != tuple(
        range(len(right.axes or (0,)))
    )
    return "reshape + transpose" if turned else "reshape"


def _reshape_parameters(left: View, right: View) -> dict[str, Any]:
    return {"left_axes": list(left.axes), "canonical": list(left.shape or ()), "right_axes": list(right.axes)}


def _permutation(left: View, right: View, swapped: bool) -> Piece | None:
    rank = len(left.shape or ())
    ours = left.axes or tuple(range(rank))
    theirs = right.axes or tuple(range(len(right.shape or ())))
    if len(ours) != len(theirs):
        return "reshape", msg("Axes of length one are dropped or added."), {"shape": list(right.weight.shape or ())}
    order = ours[::-1] if swapped else ours
    axes = [order[theirs.index(axis)] for axis in range(rank)]
    if axes == list(range(rank)):
        return None
    if rank == 2:
        return "transpose", msg("Transposed: {left} to {right}.", left=_layout(left), right=_layout(right)), {
            "axes": axes}  # fmt: skip
    text = msg("Axes in another order: {left} to {right}, transpose({axes}).", left=_layout(left),
               right=_layout(right), axes=", ".join(map(str, axes)))  # fmt: skip
    return "permute", text, {"axes": axes}


def _layout(view: View) -> str:
    return view.weight.layout or _shown(view.weight.shape)


def _shown(sizes: tuple[int | None, ...] | None) -> str:
    return "?" if sizes is None else f"({', '.join('?' if size is None else str(size) for size in sizes)})"


def _flat(pair: SlotPair) -> Piece | None:
    if pair.flattening is None:
        return None
    text = msg(
        "Its inputs are a flattened map of {channels} channels at {positions} positions: one framework runs through"
        " the channels last, the other first.",
        channels=pair.flattening.channels, positions=pair.flattening.positions,
    )  # fmt: skip
    return "flatten_order", text, {"channels": pair.flattening.channels, "positions": pair.flattening.positions}


def _gates(left: Slot, right: Slot) -> Piece | None:
    if left.gates == right.gates or sorted(left.gates) != sorted(right.gates):
        return None
    order = [left.gates.index(gate) for gate in right.gates]
    text = msg(
        "Gates in another order: {left} to {right}.",
        left=", ".join(_LETTERS[gate] for gate in left.gates), right=", ".join(_LETTERS[gate] for gate in right.gates),
    )  # fmt: skip
    return "gate_order", text, {"blocks": order}


_LETTERS = {"input": "i", "forget": "f", "cell": "g", "output": "o", "update": "z", "reset": "r", "new": "n"}


def _rotary(rotary: Rotary | None) -> Piece | None:
    if rotary is None:
        return None
    text = msg(
        "The rows of each of the {heads} heads are in the order of llama.cpp on one side, which has the two numbers"
        " that a rotary embedding turns next to one another.",
        heads=rotary.heads,
    )  # fmt: skip
    return "rotary_order", text, {"heads": rotary.heads, "to_pairs": rotary.to_pairs}


def is_quantised(pair: SlotPair) -> bool:
    """Whether one side has whole numbers where the other has floats."""
    return {_is_whole(slot.view.weight.dtype) for slot in (*pair.left, *pair.right)} == {True, False}


def _is_whole(dtype: str | None) -> bool:
    return (dtype or "").removeprefix("q").removeprefix("u").startswith("int")


def _codes(pair: SlotPair) -> Piece | None:
    if not is_quantised(pair):
        return None
    left, right = pair.left[0].view.weight.dtype, pair.right[0].view.weight.dtype
    text = msg("{left} becomes {right}, where whole numbers are codes that a scale or a table turns into values.",
               left=left or "?", right=right or "?")  # fmt: skip
    return "quantize", text, {"dtype": right}


def _cast(left: View, right: View) -> Piece | None:
    ours, theirs = left.weight.dtype, right.weight.dtype
    if ours is None or theirs is None or ours == theirs:
        return None
    return "cast", msg("{left} becomes {right}.", left=ours, right=theirs), {"dtype": theirs}
