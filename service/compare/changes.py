"""What changed between two layers that are the same thing; knows what a weight records, no numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from service.compare.counting import PARAMETERS
from service.compare.matched import UnitPair
from service.compare.slots import SlotPair
from service.compare.units import Slot, Unit
from service.language import Message, mark, msg

RETYPED = mark("{weights}: {left} became {right}.")
"""Says that weights have another element type."""


def changes(pairs: Iterable[UnitPair]) -> Iterator[Message]:
    """Sentences on one pair of layers, which may hold several units."""
    held = list(pairs)
    yield from dict.fromkeys(message for pair in held for message in _kinds(pair.left, pair.right))
    slots = [slots for pair in held for slots in pair.slots]
    for pair in slots:
        yield from _sizes(pair)
    yield from _types(slots)
    yield from _frozen(slots)


def _kinds(left: Unit | None, right: Unit | None) -> Iterator[Message]:
    if left is None or right is None or left.family != right.family or left.family != "norm":
        return
    kinds = left.layer.kind, right.layer.kind
    if kinds[0] != kinds[1] and "unknown" not in kinds and "custom" not in kinds:
        yield msg("{left} became {right}.", left=left.layer.type or kinds[0], right=right.layer.type or kinds[1])


def _sizes(pair: SlotPair) -> Iterator[Message]:
    if pair.left and pair.right:
        if not pair.fits and None not in pair.shapes:
            yield msg("{weight}: {left} became {right}.", weight=_name(pair.left), left=_shape(pair.left),
                      right=_shape(pair.right))  # fmt: skip
    elif pair.role not in _EXPECTED and not _is_fleeting(pair.left or pair.right):
        slot = pair.left or pair.right
        if pair.left:
            yield msg("{weight} {shape} is in the left model only.", weight=_name(slot), shape=_shape(slot))
        else:
            yield msg("{weight} {shape} is in the right model only.", weight=_name(slot), shape=_shape(slot))


_EXPECTED = frozenset({"num_batches_tracked"})
"""What one framework keeps and the other does not, without being another model."""


def _is_fleeting(slots: tuple[Slot, ...]) -> bool:
    """A buffer that a state_dict leaves out: its absence there is no difference of the models."""
    return any(slot.view.weight.persistent is False for slot in slots)


def _types(pairs: Iterable[SlotPair]) -> Iterator[Message]:
    found: dict[tuple[str, str], list[str]] = {}
    for pair in pairs:
        ours, theirs = _dtype(pair.left), _dtype(pair.right)
        if ours and theirs and ours != theirs:
            found.setdefault((ours, theirs), []).append(_name(pair.left))
    for (left, right), names in found.items():
        yield msg(RETYPED, weights=tuple(dict.fromkeys(names)), left=left, right=right)


def _frozen(pairs: Iterable[SlotPair]) -> Iterator[Message]:
    frozen: dict[str, None] = {}
    thawed: dict[str, None] = {}
    for pair in pairs:
        ours, theirs = _group(pair.left), _group(pair.right)
        if (ours, theirs) == ("trainable", "frozen"):
            frozen[_name(pair.left)] = None
        if (ours, theirs) == ("frozen", "trainable"):
            thawed[_name(pair.left)] = None
    if frozen:
        yield msg("{weights}: trained in the left model, frozen in the right one.", weights=tuple(frozen))
    if thawed:
        yield msg("{weights}: frozen in the left model, trained in the right one.", weights=tuple(thawed))


def _name(slots: tuple[Slot, ...]) -> str:
    return slots[0].view.weight.name if slots else ""


def _shape(slots: tuple[Slot, ...]) -> str:
    shape = slots[0].view.weight.shape if slots else None
    return "?" if shape is None else f"({', '.join('?' if size is None else str(size) for size in shape)})"


def _dtype(slots: tuple[Slot, ...]) -> str | None:
    return slots[0].view.weight.dtype if slots else None


def _group(slots: tuple[Slot, ...]) -> str | None:
    group = slots[0].view.weight.group if slots else None
    return group if group in PARAMETERS else None
