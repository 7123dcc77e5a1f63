"""The cost of one layer as it is reported, from what its rule found; knows quantities, no rule."""

from __future__ import annotations

from math import prod

from service.catalog.torch_dtypes import stored_bytes
from service.costs import ByDtype, Quantity
from service.enrich.cost.work import BEYOND, MAX_NUMBER, Sizes, Work
from service.language import Message, msg
from service.tree import Layer, Status

OUTPUTS = msg("The elements of its outputs.")
OUTPUT_BYTES = msg("The elements of its outputs times the size of their element type.")
STORED = msg("The bytes of its own weights by element type; tied weights count where they occur first.")
NO_SIZE = msg("Weights of unknown size or element type are left out.")
COUNTED_INSIDE = msg("Its outputs are counted at the layers inside it.")


class Quantities:
    """Makes quantities and hands out the same one again for the same number: a report repeats few of them."""

    def __init__(self) -> None:
        self._made: dict[tuple[object, ...], Quantity] = {}
        self._bytes: dict[tuple[object, ...], ByDtype] = {}
        self._pairs: dict[tuple[object, ...], tuple[Quantity, Quantity]] = {}

    def of(self, value: int | None, status: Status, method: Message, assumptions: tuple[Message, ...]) -> Quantity:
        """One number; method and assumptions are told apart by identity."""
        key = (value, status, id(method), *map(id, assumptions))
        found = self._made.get(key)
        if found is None:
            found = Quantity(value=value, status=status, method=method, assumptions=assumptions)
            self._made[key] = found
        return found

    def missing(self, reason: Message) -> Quantity:
        """A number that is not known."""
        return self.of(None, "unavailable", reason, ())

    def work(self, work: Work, reason: Message, notes: tuple[Message, ...]) -> tuple[Quantity, Quantity]:
        """MACs and FLOPs of a call; `reason` says why FLOPs are missing where only the MACs are known."""
        assumptions = (*notes, *work.assumptions)
        key = (work.macs, work.more, work.partial, id(work.method), id(reason), *map(id, assumptions))
        found = self._pairs.get(key)
        if found is None:
            found = self._pairs[key] = self._worked(work, reason, assumptions)
        return found

    def _worked(self, work: Work, reason: Message, assumptions: tuple[Message, ...]) -> tuple[Quantity, Quantity]:
        if work.macs is None:
            missing = self.missing(work.method)
            return missing, missing
        status: Status = "partial" if work.partial else "complete"
        macs = self.of(work.macs, status, work.method, assumptions)
        if work.more is None:
            return macs, self.missing(reason)
        return macs, self.of(2 * work.macs + work.more, status, work.method, assumptions)

    def outputs(
        self,
        outs: tuple[Sizes, ...] | None,
        dtype: tuple[str, Message],
        reason: Message,
        notes: tuple[Message, ...],
    ) -> tuple[Quantity, Quantity]:
        """Elements and bytes of a call's outputs; `reason` and `notes` are the same for every layer of a run."""
        key = (outs, dtype[0], id(dtype[1]))
        found = self._pairs.get(key)
        if found is None:
            found = self._pairs[key] = self._sized(outs, dtype, reason, notes)
        return found

    def _sized(
        self,
        outs: tuple[Sizes, ...] | None,
        dtype: tuple[str, Message],
        reason: Message,
        notes: tuple[Message, ...],
    ) -> tuple[Quantity, Quantity]:
        if outs is None:
            missing = self.missing(reason)
            return missing, missing
        elements = sum(map(prod, outs))
        if elements > MAX_NUMBER:
            missing = self.missing(BEYOND)
            return missing, missing
        size = stored_bytes(dtype[0], elements)
        return (
            self.of(elements, "complete", OUTPUTS, notes),
            self.missing(NO_SIZE) if size is None else self.of(size, "complete", OUTPUT_BYTES, (*notes, dtype[1])),
        )

    def inside(self) -> tuple[Quantity, Quantity]:
        """Outputs of a container."""
        nothing = self.of(0, "complete", COUNTED_INSIDE, ())
        return nothing, nothing

    def weights(self, layer: Layer) -> ByDtype:
        """Bytes of a layer's weights by element type."""
        if not layer.weights:
            return _NO_WEIGHTS
        held, missing = weight_bytes(layer)
        key = (missing, *held.items())
        found = self._bytes.get(key)
        if found is None:
            status: Status = "partial" if missing else "complete"
            found = ByDtype(value=held, status=status, method=STORED, assumptions=(NO_SIZE,) if missing else ())
            self._bytes[key] = found
        return found


_NO_WEIGHTS = ByDtype(value={}, status="complete", method=STORED)


def weight_bytes(layer: Layer) -> tuple[dict[str, int], bool]:
    """Bytes by element type of the weights that are the layer's own, and whether any is not known."""
    held: dict[str, int] = {}
    missing = False
    for weight in layer.weights:
        if weight.tied_to is not None:
            continue
        size = weight.bytes if weight.bytes is not None else stored_bytes(weight.dtype, weight.count)
        if size is None or weight.dtype is None:
            missing = True
        else:
            held[weight.dtype] = held.get(weight.dtype, 0) + size
    return held, missing
