"""What every layer and the model cost to run: puts flow, rules, fields and memory together.

Knows the order of the work; the rules of single kinds are elsewhere. Total: a hostile model costs an unknown, never an
error, and the work is linear in its layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from service.costs import LayerCost, ModelCost
from service.enrich.cost import dtypes, elementwise
from service.enrich.cost.calls import calls
from service.enrich.cost.field import fields
from service.enrich.cost.flow import Flow
from service.enrich.cost.layercost import Quantities
from service.enrich.cost.load import load_of
from service.enrich.cost.memory import scenarios
from service.enrich.cost.program import outside_products
from service.enrich.cost.rules import work_of
from service.enrich.cost.totals import Totals
from service.enrich.cost.work import ONE_POSITION, SIZES_MISSING, Call, Sizes, Work
from service.enrich.likeness import Alike, alike
from service.enrich.sharing import shared, whole
from service.frameworks import OWN_RULES, conventions
from service.language import Message, msg
from service.tree import Explanation, Layer, ModelInfo, Report

PASS_SHAPE = msg(
    "The file leaves the size of the model's input open: ask again with ?input_shape= and the sizes without the batch."
)
NO_ORDER = msg(
    "The file does not record in which order the layers run, so that no input size can be followed to this layer."
)
LOST = msg("The sizes of its input do not follow from those of the model's input.")
GIVEN = msg("The input shape asked for was used where the file leaves sizes open.")
NOT_USED = msg(
    "The input shape asked for was not used: the file records the sizes, or not the way from the input to the layers."
)
GRAPH_SHOWS = msg(
    "The exported graph shows no matrix product outside of the listed layers; other arithmetic of it is not counted."
)
ONCE = msg("The file does not record how often each layer is called: once is taken for each.")
MAX_BATCH = 2**31


def recost(report: Report, batch: int, input_shapes: tuple[tuple[int, ...], ...] | None) -> Report:
    """A stored report with its costs worked out anew for another batch or input.

    `input_shapes`, one per input and without the batch, fill in what the file leaves open.
    """
    layers, cost = costed(whole(report.layers), report.model, batch, input_shapes)
    return msgspec.structs.replace(report, layers=shared(layers), cost=cost)


def costed(
    layers: Sequence[Layer], info: ModelInfo, batch: int, given: tuple[tuple[int, ...], ...] | None = None
) -> tuple[tuple[Layer, ...], ModelCost]:
    """Explained layers with their costs for `batch` examples, and the model's."""
    costing = Costing(layers, info, alike(layers), max(1, min(batch, MAX_BATCH)), given)
    found = tuple(
        msgspec.structs.replace(layer, cost=costing.of(at, layer.explanation)[0]) for at, layer in enumerate(layers)
    )
    return found, costing.total()


@dataclass(slots=True)
class _Repeated:
    """The cost of the layer `number`, and how many layers have the same."""

    number: int
    cost: LayerCost
    dtype: str
    times: int = 0


class Costing:
    """One run over a model; `of` each layer in order, then `total`."""

    def __init__(
        self,
        layers: Sequence[Layer],
        info: ModelInfo,
        sorts: Alike,
        batch: int = 1,
        given: tuple[tuple[int, ...], ...] | None = None,
    ) -> None:
        torch = conventions(info.framework) == "torch"
        known = info.framework in OWN_RULES
        self.flow = Flow(layers, torch=torch, known=known, root=info.type, batch=batch, given=given)
        self._batch, self._given, self._sorts = batch, given, sorts
        self._tags = info.tags if info.format == "torch_export" else {}  # a checkpoint may hold keys of these names
        self._calls = calls(self.flow)
        self._fields = fields(self.flow)
        self._quantities = Quantities()
        self._model_dtype = dtypes.of_model(sorts.weights(layers))
        self._dtypes: list[str] = []
        self._fixed = self._fixed_batch()
        self._notes = self._assumed()
        self._ordered = not self.flow.blank and any(sources is not None for sources in self.flow.sources)
        self._closed = outside_products(layers, self._tags) == 0
        self._totals = Totals(
            self._quantities,
            self._notes if self._ordered else (*self._notes, ONCE),
            fixed=self._fixed not in (None, batch),
        )
        self._open = self._has_open_entry()
        self._known: dict[tuple[object, ...], _Repeated] = {}
        self._single: list[int] = []
        self._alone = self.flow.blank and all([layer.uses is None and layer.shared_with is None for layer in layers])  # noqa: C419 - faster as a list
        self._sort_costs: dict[tuple[int, bool], _Repeated] = {}

    def of(self, at: int, explanation: Explanation | None) -> tuple[LayerCost, int]:
        """The cost of the layer at this place, and the place of the first that shares it; to be asked in order.

        Layers that are alike, of unknown sizes, share theirs.
        """
        sort = self._sorts.numbers[at], at in self.flow.children
        known = self._sort_costs.get(sort)
        if known is None:
            key = self._likeness(at, explanation)
            if key is None:
                cost = self._costed(at)
                self._add(at, cost, 1)
                self._single.append(at)
                return cost, at
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = _Repeated(at, self._costed(at), self._dtypes.pop())
            if self._alone:
                self._sort_costs[sort] = known
        self._dtypes.append(known.dtype)
        known.times += 1
        return known.cost, known.number

    def _likeness(self, number: int, explanation: Explanation | None) -> tuple[object, ...] | None:
        """Equal for layers that must cost the same; None where sizes flow through, or there is no telling.

        Layers with equal weights and settings are of one sort, so that it stands for both.
        """
        flow, called = self.flow, self._calls[number]
        layer = flow.layers[number]
        if layer.shared_with is not None or called.further:
            return None
        if not flow.blank and (flow.ins[number] is not None or flow.outs[number] is not None):
            return None
        if (layer.weights or layer.config) and explanation is None:
            return None
        sort = None if explanation is None else self._sorts.numbers[number]
        return (
            layer.kind, layer.type, sort, called.count, called.alike, self._fields[number], number in flow.children,
            *[(weight.bytes, weight.dtype, weight.tied_to is None) for weight in layer.weights],
        )  # fmt: skip

    def _costed(self, number: int) -> LayerCost:
        layer, called = self.flow.layers[number], self._calls[number]
        dtype = dtypes.of_layer(self.flow.owner(number), self._model_dtype, torch=self.flow.torch)
        self._dtypes.append(dtype[0])
        work = self._reasoned(self._work(number, self.flow.ins[number], self.flow.outs[number]))
        macs, flops = self._quantities.work(work, GRAPH_SHOWS if work is _CLOSED else self._reason(), self._notes)
        inside = number in self.flow.children
        if inside:
            elements, size = self._quantities.inside()
        else:
            elements, size = self._quantities.outputs(self.flow.outs[number], dtype, self._reason(), self._notes)
        receptive, stride = self._fields[number]
        held = self._quantities.weights(layer)
        return LayerCost(
            macs=macs, flops=flops, activation_elements=elements, activation_bytes=size, parameter_bytes=held,
            receptive_field=receptive, stride=stride, calls=called.count,
        )  # fmt: skip

    def _add(self, number: int, cost: LayerCost, times: int) -> None:
        """Put what a layer costs into the totals, as often as there are layers like it."""
        called = self._calls[number]
        further = [self._work(number, ins, self.flow.inferred(number, ins)) for ins in called.further]
        counted = self.flow.layers[number].kind != "input"
        self._totals.add(cost, further, counted=counted, alike=called.alike, times=times)

    def total(self) -> ModelCost:
        """The model's cost, after all layers."""
        for known in self._known.values():
            self._add(known.number, known.cost, known.times)
        times = {**dict.fromkeys(self._single, 1), **{known.number: known.times for known in self._known.values()}}
        load = load_of(self.flow, self._dtypes, self._calls, self._tags, times)
        fixed = self._fixed
        load.notes = (_fixed_at(fixed),) if fixed is not None and fixed != self._batch else ()
        memory = scenarios(load)
        return self._totals.cost(self._batch, self._given, memory)

    def _work(self, number: int, ins: tuple[Sizes, ...] | None, outs: tuple[Sizes, ...] | None) -> Work:
        layer, owner = self.flow.layers[number], self.flow.owner(number)
        found = work_of(
            Call(
                layer.kind,
                layer.type or "",
                layer.config,
                owner.weights,
                ins,
                outs,
                self._batch if self._fixed is None else self._fixed,
                self.flow.torch,
                layer,
            )
        )
        if self._closed and found.method is elementwise.CODE:
            return _CLOSED
        return found

    def _reasoned(self, work: Work) -> Work:
        """With what the user can do about sizes that are missing."""
        if work.method is SIZES_MISSING:
            return Work(None, None, self._reason())
        if work.partial and ONE_POSITION in work.assumptions:
            return Work(work.macs, work.more, work.method, (*work.assumptions, self._reason()), partial=True)
        return work

    def _reason(self) -> Message:
        if not self._ordered:
            return NO_ORDER
        return PASS_SHAPE if self._open and not self._given and self.flow.known else LOST

    def _has_open_entry(self) -> bool:
        flow = self.flow
        known = () if flow.blank else enumerate(flow.sources)
        return any(sources == () and flow.ins[number] is None for number, sources in known)

    def _fixed_batch(self) -> int | None:
        for number, sources in () if self.flow.blank else enumerate(self.flow.sources):
            layer, axis = self.flow.layers[number], self.flow.entering(number)
            shapes = layer.input_shapes if sources == () else None
            if sources == () and layer.kind == "input" and shapes is None:
                shapes = tuple(shape for shape in layer.output_shapes or () if len(shape) > 1)
            rank = len(shapes[0]) if shapes else 0
            if shapes and axis is not None and -rank <= axis < rank and shapes[0][axis] is not None:
                return shapes[0][axis]
        return None

    def _assumed(self) -> tuple[Message, ...]:
        fixed = self._fixed
        notes = () if fixed is None or fixed == self._batch else (_fixed_at(fixed),)
        if self._given:
            notes = (*notes, GIVEN if self.flow.used else NOT_USED)
        return notes


def _fixed_at(batch: int) -> Message:
    return msg(
        "The batch was fixed at {batch} examples when the model was exported: numbers are for these.", batch=batch
    )


_CLOSED = Work(0, None, GRAPH_SHOWS)
