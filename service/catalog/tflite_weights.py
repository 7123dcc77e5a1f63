"""TensorFlow Lite tensors with data as weights: roles, groups, ties, places, packed and sparse counts; knows no layers.

The file does not say who learns. Numbers of parameters that are quantised are frozen by rule; of floating point ones
nobody can tell. Shapes, paddings and other constants never learn.
"""

from __future__ import annotations

from service.catalog.counting import check_weights
from service.catalog.integrity import Extent, check_extents, listed, truncated, wrong_size
from service.catalog.tflite_names import TENSOR_TYPES, bits_of
from service.catalog.tflite_roles import OPERANDS, Operand
from service.config import Limits
from service.errors import LimitExceeded
from service.language import msg
from service.parsers.flatbuffer import Span
from service.parsers.tflite import Contents, Tensor
from service.plain import text
from service.tree import Finding, Group, Location, Shape, Source, Weight, element_count

_NEVER = frozenset({"constant", "quant_scale", "zero_point", "buffer"})


class Weights:
    """Makes the weights of one file, remembering under which name the bytes of each were seen first."""

    def __init__(self, contents: Contents, size: int, limits: Limits) -> None:
        self._contents = contents
        self._size = size
        self._limits = limits
        self._first: dict[object, str] = {}
        self._extents: list[Extent] = []
        self._wrong: list[Finding] = []
        self._made = 0

    def is_constant(self, tensor: Tensor) -> bool:
        """Whether the tensor has data of its own."""
        return bool(tensor.external) or bool(tensor.buffer and self._contents.buffers[tensor.buffer])

    def weight(self, tensor: Tensor, operand: Operand, path: str) -> Weight:
        """The weight that a constant tensor is to the layer at `path`."""
        self._count()
        dtype = dtype_of(tensor)
        count = self._elements(tensor)
        key, place = self._place(tensor)
        stored = place.length if place is not None else 0
        full = f"{path}/{operand.name}"
        first = self._first.setdefault(key, full)
        if first == full and place is not None and not tensor.external:
            self._check(tensor, dtype, count, place, full)
        group, trainable, source = _group(operand.role, dtype)
        return Weight(
            name=operand.name,
            role=operand.role,
            shape=shape_of(tensor),
            dtype=dtype,
            count=count,
            group=group,
            trainable=trainable,
            trainable_source=source,
            stored_as=tensor.name,
            stored_count=_stored_count(tensor, dtype, stored, count),
            bytes=stored,
            layout=operand.layout if operand.layout and len(tensor.shape) == _rank(operand.layout) else None,
            tied_to=None if first == full else first,
            location=self._location(tensor, dtype, count, place),
        )

    def findings(self) -> list[Finding]:
        """Data beyond the end of the file, in each other's way, or of another size than its tensor needs."""
        past = max((extent.end for extent in self._extents), default=0)
        found = [truncated(past, self._size)] if past > self._size else []
        return [*found, *check_extents(self._extents, self._size, holes=False), *listed("data_wrong_size", self._wrong)]

    def _place(self, tensor: Tensor) -> tuple[object, Span | None]:
        """(what two tensors of the same bytes have in common, where these lie)."""
        if tensor.external:
            outside = self._contents.externals.get(tensor.external)
            span = Span(outside.offset, outside.length) if outside is not None else None
            return ("external", outside or tensor.external), span
        span = self._contents.buffers[tensor.buffer]
        return span and span.offset, span

    def _location(self, tensor: Tensor, dtype: str, count: int | None, place: Span | None) -> Location | None:
        """Only of plain arrays: not packed, not sparse, whole, and in this file."""
        bits = bits_of(dtype) or 0
        if place is None or tensor.external or tensor.is_sparse or bits < 8 or place.length * 8 != bits * (count or 0):
            return None
        return Location(offset=place.offset, length=place.length) if sum(place) <= self._size else None

    def _check(self, tensor: Tensor, dtype: str, count: int | None, place: Span, full: str) -> None:
        self._extents.append(Extent(full, place.offset, place.offset + place.length))
        bits = bits_of(dtype)
        if bits is None or count is None or tensor.is_sparse:
            return
        expected = (bits * count + 7) // 8
        if expected != place.length:
            self._wrong.append(wrong_size(full, place.length, expected))

    def _elements(self, tensor: Tensor) -> int | None:
        count = element_count(shape_of(tensor))
        if count is not None and count > self._limits.elements:
            raise LimitExceeded(
                "elements", self._limits.elements, msg("A tensor has more elements than any model has."),
                member=text(tensor.name, 200),
            )  # fmt: skip
        return count

    def _count(self) -> None:
        self._made += 1
        check_weights(self._made, self._limits)


def dtype_of(tensor: Tensor) -> str:
    """The element type, by its number where the schema at hand does not know it."""
    return TENSOR_TYPES.get(tensor.type, f"type_{tensor.type}")


def shape_of(tensor: Tensor) -> Shape:
    """The stored sizes; None for those that are said to be open."""
    sizes = tensor.shape
    if tensor.signature is not None and len(tensor.signature) == len(sizes):
        return tuple(None if open_ < 0 else size for size, open_ in zip(sizes, tensor.signature, strict=True))
    return sizes if not sizes or min(sizes) >= 0 else tuple(None if size < 0 else size for size in sizes)


def operand_of(operator: str, position: int, tensor: Tensor) -> Operand:
    """What a constant at `position` among an operator's inputs is; by type and size where the position does not say."""
    known = OPERANDS.get(operator, {}).get(position)
    if known is not None:
        return known
    if operator == "GATHER" and position == 0 and len(tensor.shape) == 2 and _is_learnable(tensor):
        return Operand("params", "embedding")
    if operator == "BATCH_MATMUL":
        return Operand("xy"[position % 2], "kernel", "in-out" if position else None)
    role = "parameter" if _is_learnable(tensor) else "constant"
    return Operand(f"input_{position}", role)


def _is_learnable(tensor: Tensor) -> bool:
    """Real numbers, or whole ones that stand for such, and more than one."""
    if (element_count(shape_of(tensor)) or 0) < 2:
        return False
    return dtype_of(tensor).startswith(("float", "bfloat", "complex")) or tensor.quantization is not None


def _group(role: str, dtype: str) -> tuple[Group, bool | None, Source]:
    if role in _NEVER:
        return "statistic", False, "rule"
    if dtype.startswith(("float", "bfloat", "complex")):
        return "unknown", None, "unknown"
    return "frozen", False, "rule"


def _stored_count(tensor: Tensor, dtype: str, stored: int, count: int | None) -> int | None:
    """Elements that are really there, of a tensor whose zeros are left out."""
    bits = bits_of(dtype)
    if not tensor.is_sparse or bits is None:
        return None
    found = stored * 8 // bits
    return None if found == count else found


def _rank(layout: str) -> int:
    return len(layout.split("-")) if "-" in layout else len(layout)
