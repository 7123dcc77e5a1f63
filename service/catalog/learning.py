"""Whether a constant of a graph learns, where its file does not say; knows roles and element types, no format.

For formats that keep a network as operations with constants (Core ML, OpenVINO, ncnn, Paddle): the same network has the
same number of parameters in each of them. What only steers an operation, a target shape or a mask, is no parameter.
"""

from __future__ import annotations

from functools import lru_cache

from service.catalog.named_weights import group_of
from service.tree import Group, Shape, Source, element_count

_FIXED = frozenset({"constant", "mean", "variance"})
_FLOATS = ("float", "bfloat", "complex", "nf")


@lru_cache(maxsize=1024)
def learning(
    role: str, dtype: str | None, recorded: bool | None = None, *, logical: str | None = None
) -> tuple[Group, bool | None, Source]:
    """Group, trainable and why: by rule for statistics, constants and whole numbers, else as recorded, else unknown.

    Args:
        role: Of the weight.
        dtype: Element type as stored.
        recorded: What the file says of its training, None if nothing.
        logical: Element type that the stored values stand for, where they are codes: real numbers in a few bits are
            parameters that no longer learn.
    """
    if role in _FIXED:
        return "statistic", False, "rule"
    found = group_of(role, dtype)
    if found[0] == "statistic" and (logical or "").startswith(_FLOATS) and group_of(role, logical)[0] == "unknown":
        found = ("frozen", False, "rule")
    if recorded is None or found[0] == "statistic":
        return found
    if recorded and found[0] == "unknown":
        return "trainable", True, "recorded"
    return "frozen", False, "rule" if recorded else "recorded"


def free_role(dtype: str | None, shape: Shape | None, role: str = "parameter") -> str:
    """`role` for an array that no operation gives one: real numbers, more than one, may be learned; others steer."""
    count = element_count(shape)
    if not (dtype or "").startswith(_FLOATS) or (count is not None and count < 2):
        return "constant"
    return role
