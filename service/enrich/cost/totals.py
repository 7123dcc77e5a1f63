"""Adds up what the layers cost over all their calls; knows quantities, no rule."""

from __future__ import annotations

from collections.abc import Sequence

from service.costs import ByDtype, LayerCost, Memory, ModelCost, Quantity
from service.enrich.cost.layercost import NO_SIZE, Quantities
from service.enrich.cost.work import BEYOND, FIRST_CALL, MAX_NUMBER, Work
from service.language import Message, msg, msgn
from service.tree import Status

MACS = msg("The MACs of every call of every layer added up.")
FLOPS = msg("Two FLOPs per MAC, and the other arithmetic of every call of every layer, added up.")
ELEMENTS = msg("The output elements of every call of every layer added up; inputs and containers are left out.")
BYTES = msg("The output bytes of every call of every layer added up; inputs and containers are left out.")
WEIGHTS = msg("The bytes of all unique weights by element type.")
NONE_KNOWN = msg("It is not known for any layer that would cost something.")
NO_LAYERS = msg("The file lists no layers.")
MAX_NOTES = 20


class _Sum:
    """One column of numbers, with how many are missing or partial."""

    def __init__(self, notes: Sequence[Message]) -> None:
        self.value = self.missing = self.partial = self.seen = 0
        self.notes: dict[int, Message] = {id(note): note for note in notes}

    def add(self, quantity: Quantity, calls: int, *, times: int = 1, alike: bool = True) -> None:
        self.seen += times
        if quantity.value is None:
            self.missing += times
            return
        self.value += quantity.value * calls * times
        if quantity.status != "complete":
            self._partly(quantity.assumptions)
        if not alike and quantity.value:
            self._partly((FIRST_CALL,))

    def _partly(self, notes: Sequence[Message]) -> None:
        self.partial += 1
        if len(self.notes) < MAX_NOTES:
            self.notes.update((id(note), note) for note in notes)

    def quantity(self, quantities: Quantities, method: Message, *, fixed: bool) -> Quantity:
        if self.value > MAX_NUMBER:
            return quantities.missing(BEYOND)
        if not self.value and (self.missing or not self.seen):
            return quantities.missing(NONE_KNOWN if self.missing else NO_LAYERS)
        notes = [*self.notes.values()]
        if self.missing:
            notes.append(
                msgn(
                    "{n} layer is left out: its cost is not known.",
                    "{n} layers are left out: their cost is not known.",
                    n=self.missing,
                )
            )
        partial = self.missing or self.partial or fixed
        return quantities.of(self.value, "partial" if partial else "complete", method, tuple(notes))


class Totals:
    """Takes each layer's cost once, then gives the model's."""

    def __init__(self, quantities: Quantities, notes: tuple[Message, ...], *, fixed: bool) -> None:
        self._quantities, self._fixed = quantities, fixed
        self._macs, self._flops, self._elements, self._bytes = (_Sum(notes) for _ in range(4))
        self._weights: dict[str, int] = {}
        self._unsized = False

    def add(self, cost: LayerCost, further: list[Work], *, counted: bool, alike: bool, times: int = 1) -> None:
        """One layer, or several that cost the same.

        Args:
            cost: Of its first call.
            further: The work of its calls after the first where their sizes differ.
            counted: Whether its outputs are activations.
            alike: Whether that stands for all its calls.
            times: How many such layers there are.
        """
        for dtype, size in (cost.parameter_bytes.value or {}).items():
            self._weights[dtype] = self._weights.get(dtype, 0) + size * times
        self._unsized |= cost.parameter_bytes.status != "complete"
        if not cost.calls:
            return
        count = cost.calls // (1 + len(further))
        self._macs.add(cost.macs, count, times=times, alike=alike)
        self._flops.add(cost.flops, count, times=times, alike=alike)
        for work in further:
            for column, quantity in zip(
                (self._macs, self._flops), self._quantities.work(work, FIRST_CALL, ()), strict=True
            ):
                column.add(quantity, count, times=times)
        if counted:
            same = alike and not further
            self._elements.add(cost.activation_elements, cost.calls, times=times, alike=same)
            self._bytes.add(cost.activation_bytes, cost.calls, times=times, alike=same)

    def cost(self, batch: int, given: tuple[tuple[int, ...], ...] | None, memory: tuple[Memory, ...]) -> ModelCost:
        """The totals."""
        status: Status = "partial" if self._unsized else "complete"
        notes = (NO_SIZE,) if self._unsized else ()
        columns = ((self._macs, MACS), (self._flops, FLOPS), (self._elements, ELEMENTS), (self._bytes, BYTES))
        macs, flops, elements, size = (
            column.quantity(self._quantities, method, fixed=self._fixed) for column, method in columns
        )
        return ModelCost(
            batch=batch,
            input_shapes=given,
            macs=macs,
            flops=flops,
            activation_elements=elements,
            activation_bytes=size,
            parameter_bytes=ByDtype(value=self._weights, status=status, method=WEIGHTS, assumptions=notes),
            memory=memory,
            uncounted=self._macs.missing,
        )
