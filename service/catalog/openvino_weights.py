"""The weights of OpenVINO operations: role, name, logical shape and place of each constant; knows no document.

A constant that only steers an operation (a target shape, an axis) is listed with the role constant among the
statistics: it is stored in the `.bin`, and is no parameter.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from service.catalog.learning import learning
from service.catalog.openvino_constants import Constants, Leaf, leaves_of, shape_of
from service.catalog.openvino_graph import Op
from service.catalog.openvino_ops import (
    BATCH_NORM_USES,
    CONVOLUTIONS,
    GROUPED,
    TRANSPOSED,
    USES,
    Use,
    bits_of,
    bytes_of,
    dtype_of,
    kernel_layout,
)
from service.config import Limits
from service.errors import LimitExceeded
from service.language import msg
from service.plain import text
from service.tree import Location, Shape, Weight, element_count

_STEERED_NAMES = (
    "Reshape Transpose Squeeze Unsqueeze Pad Interpolate Resample Slice StridedSlice Split VariadicSplit Tile "
    "Broadcast ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 TopK NonMaxSuppression Range "
    "OneHot PriorBox PriorBoxClustered Proposal Convert Clamp NormalizeL2 MVN Select Gather GatherND "
    "GatherElements Swish Power Sqrt Log Greater Less Equal FakeQuantize RandomUniform CumSum Roll Eye "
    "TensorIterator Loop If LSTMSequence GRUSequence RNNSequence LSTMCell GRUCell RNNCell DetectionOutput "
    "SpaceToBatch BatchToSpace"
)
_STEERED = frozenset(_STEERED_NAMES.split())
"""Operations whose other constant inputs steer them and are not weights."""
_ELEMENTWISE = frozenset({"Add", "Subtract", "Multiply", "Divide"})
_EMBEDDINGS = frozenset({"embedding"})
_PARTS = {"scale": "quant_scale", "zero_point": "zero_point", "range": "quant_scale"}
_MATRIX = 2
_BEHIND = -1
"""The input number of a constant that an operation behind brings."""
_BYTE = 8
_DIGITS = 19


@dataclass(slots=True)
class Weigher:
    """Makes weights of constants, knows which were seen before, and holds the number to the limit.

    `member` is the `.bin`, None where there is none.
    """

    limits: Limits
    member: str | None
    owners: dict[tuple[object, ...], str] = field(default_factory=dict)
    names: dict[tuple[str, str], int] = field(default_factory=dict)
    listed: set[int] = field(default_factory=set)
    made: int = 0

    def weigh(self, leaf: Leaf, use: Use, owner: str, *, shape: Shape, layout: str | None = None) -> Weight:
        """The weight of one stored constant, tied to the first that has the same bytes."""
        self.made += 1
        if self.made > self.limits.weights:
            raise LimitExceeded(
                "weights", self.limits.weights,
                msg("The file holds more than {weights} tensors.", weights=self.limits.weights),
            )  # fmt: skip
        self.listed.add(id(leaf.op))
        op, dtype = leaf.op, dtype_of(leaf.op.data.get("element_type"))
        place = place_of(op)
        name = self._distinct(owner, use.name)
        full = f"{owner}/{name}"
        key = (place, dtype) if place is not None and place[1] else ("op", id(op))
        first = self.owners.setdefault(key, full)
        count = element_count(shape)
        group, trainable, why = learning(use.role, dtype)
        return Weight(
            name=name,
            role=use.role,
            shape=shape,
            dtype=dtype,
            count=count,
            bytes=place[1] if place is not None else bytes_of(dtype, count),
            layout=layout,
            group=group,
            trainable=trainable,
            trainable_source=why,
            stored_as=text(op.name, self.limits.text),
            tied_to=None if first == full else first,
            location=self._location(op, dtype, place),
        )

    def _distinct(self, owner: str, name: str) -> str:
        """`name`, with a number where the layer has another weight of that name."""
        number = self.names[owner, name] = self.names.get((owner, name), 0) + 1
        return name if number == 1 else f"{name}_{number}"

    def _location(self, op: Op, dtype: str | None, place: tuple[int, int] | None) -> Location | None:
        """Where the values lie as one array; None for those that share bytes, and without a `.bin`."""
        if self.member is None or place is None or dtype == "string":
            return None
        if (bits_of(dtype) or 0) < _BYTE and dtype not in ("int4", "uint4"):
            return None
        if place[1] != bytes_of(dtype, element_count(shape_of(op))):
            return None
        return Location(member=self.member, offset=place[0], length=place[1])


def place_of(op: Op) -> tuple[int, int] | None:
    """(offset, size) of a Const in the `.bin`, None where it states none."""
    offset, size = op.data.get("offset", ""), op.data.get("size", "")
    if not (offset.isascii() and offset.isdigit() and size.isascii() and size.isdigit()):
        return None
    return (int(offset), int(size)) if len(offset) <= _DIGITS and len(size) <= _DIGITS else None


@dataclass(frozen=True, slots=True)
class Taken:
    """A constant input that belongs to another layer than the one that reads it: a bias added behind a kernel."""

    number: int
    use: Use


def weights_of(
    found: Constants, number: int, path: str, weigher: Weigher, moved: tuple[tuple[Taken, ...], frozenset[int]]
) -> list[Weight]:
    """The weights of one operation; `moved` are constants of operations behind it, and those of its own given away."""
    op = found.graph.ops[number]
    taken, given = moved
    inputs = [
        (into, source, _use(found, number, into, source))
        for into, source, _ in found.feeds.get(number, [])
        if source in found.constant and source not in given
    ]
    inputs.extend((_BEHIND, one.number, one.use) for one in taken)
    return [
        _weight(leaf, op, into, use, path, weigher)
        for into, source, use in inputs
        for leaf in leaves_of(found, source)
    ]


def _weight(leaf: Leaf, op: Op, into: int, use: Use | None, path: str, weigher: Weigher) -> Weight:
    """One stored constant below the input `into`; `use` is None where it only steers."""
    if leaf.part != "value":
        name = f"{use.name if use else f'input_{into}'}_{leaf.name}"
        own = Use(_PARTS.get(leaf.part, "constant"), name)
        return weigher.weigh(leaf, own, path, shape=leaf.shape)
    if use is None:
        own = Use("constant", f"input_{into}")
        return weigher.weigh(leaf, own, path, shape=leaf.shape)
    shape, layout = _logical(op, into, use, leaf)
    return weigher.weigh(leaf, use, path, shape=shape, layout=layout)


def _use(found: Constants, number: int, into: int, source: int) -> Use | None:
    """What the constant at input `into` is for; None for a constant that only steers."""
    op = found.graph.ops[number]
    if op.type == "BatchNormInference":
        return _batch_norm_use(found, number, into)
    use = USES.get(op.type, {}).get(into)
    first = next(iter(leaves_of(found, source)), None)
    if first is None:
        return None
    several = (element_count(first.shape) or 0) > 1
    if use is None:
        weight = op.type not in _STEERED and several and _is_float(first)
        return Use("parameter", f"input_{into}") if weight else None
    if op.type in _ELEMENTWISE:
        return use if several and _is_float(first) else None
    if use.role in _EMBEDDINGS:
        return use if _is_table(found, number, first) else None
    return use


def _batch_norm_use(found: Constants, number: int, into: int) -> Use | None:
    constants = [port for port, source, _ in found.feeds.get(number, []) if source in found.constant]
    place = constants.index(into)
    return BATCH_NORM_USES[place] if len(constants) == len(BATCH_NORM_USES) else None


def _is_table(found: Constants, number: int, first: Leaf) -> bool:
    """A matrix of numbers with a fraction, looked up by indices that are not constant: an embedding."""
    feeding = found.feeds.get(number, [])
    indices = next((source for into, source, _ in feeding if into == 1), None)
    looked_up = indices is not None and indices not in found.constant
    low = first.op is not found.graph.ops[feeding[0][1]]
    return looked_up and len(first.shape) >= _MATRIX and (_is_float(first) or low)


def _is_float(leaf: Leaf) -> bool:
    dtype = dtype_of(leaf.op.data.get("element_type")) or ""
    return dtype.startswith(("float", "bfloat", "nf"))


def _logical(op: Op, into: int, use: Use, leaf: Leaf) -> tuple[Shape, str | None]:
    """Sizes and axis order of a weight: groups joined with the axis behind them, broadcast vectors as vectors."""
    shape = leaf.shape
    if into == _BEHIND and use.role in ("bias", "scale", "offset"):
        return tuple(size for size in shape if size != 1) or (1,), None
    if use.role != "kernel" or leaf.reordered:
        return shape, None
    if op.type in GROUPED and len(shape) > _MATRIX:
        shape = (element_count(shape[:2]), *shape[2:])
    if op.type in CONVOLUTIONS or op.type in TRANSPOSED:
        return shape, kernel_layout(op.type, len(shape))
    if op.type == "MatMul" and len(shape) == _MATRIX:
        transposed = op.data.get(("transpose_a", "transpose_b")[into], "false").lower() in ("true", "1")
        return shape, "out-in" if transposed == (into == 1) else "in-out"
    return shape, None


def _product(shape: Shape) -> int | None:
    return element_count(shape)
