"""ExecuTorch tensors with data as weights: where the data lies, ties by buffer, who learns; knows no layers.

A program records requires_grad of every tensor. Where it is false everywhere, as tools leave it that trace without
gradients, it tells nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from service.catalog.counting import check_weights
from service.catalog.executorch_operators import Argument
from service.catalog.integrity import MAX_LISTED
from service.catalog.torch_dtypes import SCALAR_TYPES, is_gradient_type, stored_bytes
from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.executorch import Program, Tensor
from service.parsers.flatbuffer import Span
from service.plain import text
from service.tree import Finding, Group, Location, Source, Weight, element_count

_STATISTICS = frozenset({"moving_mean", "moving_variance", "quant_scale", "zero_point", "constant", "buffer"})


class Placed(NamedTuple):
    """Data in one of the files: which, and where."""

    member: str | None
    place: Span


class Weights:
    """Makes the weights of one program, remembering under which name each buffer was seen first."""

    def __init__(
        self, program: Program, outside: Mapping[str, Placed], limits: Limits, where: tuple[str | None, int, int]
    ) -> None:
        """`where` is the program itself: its file, where it begins there, and its size in bytes."""
        self._program = program
        self._outside = outside
        self._limits = limits
        self._member, self._start, self._size = where
        self._first: dict[object, str] = {}
        self._made = 0
        self._learns = any(
            value.requires_grad and self.is_constant(value)
            for plan in program.plans
            for value in plan.values
            if isinstance(value, Tensor)
        )
        self.missing: dict[str, None] = {}
        """Names of data that is in none of the files."""
        self.cut = False
        """Whether the file ends before the data of a weight does."""
        self.findings: list[Finding] = []

    def is_constant(self, value: Any) -> bool:
        """Whether the tensor has stored data, here or in another file."""
        return isinstance(value, Tensor) and (value.external or value.buffer > 0)

    def weight(self, tensor: Tensor, argument: Argument, path: str) -> Weight:
        """The weight that a stored tensor, or a variable, is to the layer at `path`."""
        self._count()
        dtype = SCALAR_TYPES.get(tensor.type, f"type_{tensor.type}")
        count = self._elements(tensor)
        size = stored_bytes(dtype, count)
        key, placed = self._placed(tensor)
        full = f"{path}.{argument.name}"
        first = full if key is None else self._first.setdefault(key, full)
        group, trainable, source = self._group(tensor, argument.role, dtype)
        stored = self.is_constant(tensor)
        return Weight(
            name=argument.name, role=argument.role, shape=tensor.sizes, dtype=dtype, count=count, group=group,
            trainable=trainable, trainable_source=source, stored_as=tensor.key or None, bytes=size if stored else 0,
            layout=argument.layout if argument.layout and _rank(argument.layout) == len(tensor.sizes) else None,
            tied_to=None if first == full else first, persistent=None if stored else False,
            location=self._location(tensor, placed, size, full),
        )  # fmt: skip

    def _placed(self, tensor: Tensor) -> tuple[object, Placed | None]:
        """(what tensors of the same data have in common, where it lies)."""
        if tensor.external:
            found = self._outside.get(tensor.key)
            if found is None:
                self.missing[tensor.key] = None
            return ("external", tensor.key), found
        if not tensor.buffer:
            return None, None
        places = self._program.constants
        if tensor.mutable:
            groups = self._program.mutable
            places = groups[tensor.segments] if tensor.segments < len(groups) else []
        if tensor.buffer >= len(places):
            raise MalformedFile(
                msg("A tensor refers to buffer {buffer} of {buffers}.", buffer=tensor.buffer, buffers=len(places))
            )
        return (tensor.mutable, tensor.segments, tensor.buffer), Placed(self._member, places[tensor.buffer])

    def _location(self, tensor: Tensor, placed: Placed | None, size: int | None, full: str) -> Location | None:
        if placed is None or size is None:
            return None
        end = placed.place.offset + size
        inside = end <= self._size or placed.member != self._member
        if size > placed.place.length or not inside:
            self.cut = self.cut or not inside
            self._past(full, placed.place, size, inside=inside)
            return None
        shift = self._start if placed.member == self._member else 0
        return Location(member=placed.member, offset=placed.place.offset + shift, length=size, strides=_strides(tensor))

    def _past(self, full: str, place: Span, size: int, *, inside: bool) -> None:
        length = place.length if inside else max(min(place.length, self._size - place.offset), 0)
        if len(self.findings) < MAX_LISTED:
            self.findings.append(
                Finding(
                    rule="data_past_end",
                    severity="high",
                    path=text(full),
                    what=msg(
                        "{name} needs {size} bytes from byte {begin} on, but there are only {length}.",
                        name=text(full, 200), size=size, begin=place.offset, length=length,
                    ),
                )
            )  # fmt: skip

    def _group(self, tensor: Tensor, role: str, dtype: str) -> tuple[Group, bool | None, Source]:
        if role in _STATISTICS:
            return "statistic", False, "rule"
        if not is_gradient_type(dtype):
            return "frozen", False, "rule"
        if not self._learns:
            return "unknown", None, "unknown"
        return ("trainable", True, "recorded") if tensor.requires_grad else ("frozen", False, "recorded")

    def _elements(self, tensor: Tensor) -> int:
        count = element_count(tensor.sizes) or 0
        if count > self._limits.elements:
            raise LimitExceeded(
                "elements", self._limits.elements, msg("A tensor has more elements than any model has.")
            )
        return count

    def _count(self) -> None:
        self._made += 1
        check_weights(self._made, self._limits)


def _strides(tensor: Tensor) -> tuple[int, ...] | None:
    """Steps along each axis where the axes are in another order in memory."""
    order = tensor.order
    if sorted(order) != list(range(len(tensor.sizes))) or list(order) == sorted(order):
        return None
    steps, step = [0] * len(order), 1
    for axis in reversed(order):
        steps[axis] = step
        step *= max(tensor.sizes[axis], 1)
    return tuple(steps)


def _rank(layout: str) -> int:
    return len(layout.split("-")) if "-" in layout else len(layout)
