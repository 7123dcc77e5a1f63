"""The small whole numbers that exporters compute shapes from, followed through an ONNX graph; knows no file.

`Shape`, `Gather`, `Concat`, arithmetic: what they give where what they get is known, None for a number that is not.
"""

from __future__ import annotations

from collections.abc import Callable

from service.catalog.onnx_call import Call, part
from service.catalog.onnx_constants import MAX_INTS


def infer_ints(call: Call) -> tuple[int | None, ...] | None:
    """The whole numbers that the first output holds, where they follow from known ones."""
    rule = _INTS.get(call.op)
    found = rule(call) if rule is not None else None
    return found if found is None or len(found) <= MAX_INTS else None


def _ints_of_shape(call: Call) -> tuple[int | None, ...] | None:
    shape = call.shape(0)
    return None if shape is None else part(call, shape)


def _ints_passed(call: Call) -> tuple[int | None, ...] | None:
    return call.ins[0].ints if call.ins and call.ins[0] is not None else None


def _ints_gathered(call: Call) -> tuple[int | None, ...] | None:
    held, at = _ints_passed(call), call.ints(1)
    if held is None or at is None or any(not -len(held) <= index < len(held) for index in at):
        return None
    return tuple(held[index] for index in at)


def _ints_joined(call: Call) -> tuple[int | None, ...] | None:
    found: list[int | None] = []
    for one in call.ins:
        if one is None or one.ints is None or len(found) > MAX_INTS:
            return None
        found.extend(one.ints)
    return tuple(found)


def _ints_sliced(call: Call) -> tuple[int | None, ...] | None:
    held, starts, ends = _ints_passed(call), call.ints(1, "starts"), call.ints(2, "ends")
    steps = call.ints(4, "steps") if call.given(4) else (1,)
    if held is None or not starts or not ends or not steps or len(starts) != 1 or steps[0] == 0:
        return None
    return held[slice(starts[0], ends[0], steps[0])]


def _ints_combined(call: Call) -> tuple[int | None, ...] | None:
    first, second = (one.ints if one is not None else None for one in (*call.ins, None, None)[:2])
    if first is None or second is None or (1 not in (len(first), len(second)) and len(first) != len(second)):
        return None
    longest = max(len(first), len(second))
    pairs = zip(first * (longest // max(len(first), 1)), second * (longest // max(len(second), 1)), strict=False)
    return tuple(_combined(call.op, a, b) for a, b in pairs)


def _combined(op: str, a: int | None, b: int | None) -> int | None:
    if a is None or b is None or max(abs(a), abs(b)) >= 1 << 63:
        return None
    if op == "Div":
        return None if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return a + b if op == "Add" else a - b if op == "Sub" else a * b


_INTS: dict[str, Callable[[Call], tuple[int | None, ...] | None]] = {
    "Shape": _ints_of_shape, "Gather": _ints_gathered, "Concat": _ints_joined, "Slice": _ints_sliced,
    **dict.fromkeys(("Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape"), _ints_passed),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _ints_combined),
}  # fmt: skip
