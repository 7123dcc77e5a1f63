"""What the views show of costs: each number with its parts and what it stands on; knows costs, no layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from service.costs import Extents, LayerCost, ModelCost, Quantity
from service.language import Message, mark, msg
from service.translation import Say
from service.tree import Layer, Report
from service.views.rows import CountText, bytes_text, count_text, quantity_text, shapes_text

PARTS = {
    "weights": mark("weights"),
    "half_precision_copy": mark("copy in half precision"),
    "gradients": mark("gradients"),
    "optimizer": mark("optimizer slots"),
    "activations": mark("activations"),
}
PARTIAL = msg("Why numbers are partial")


class Detail(NamedTuple):
    """One number of the model: what it is, the parts it is the sum of, how it was found and what it stands on."""

    label: str
    value: str
    known: bool
    parts: tuple[tuple[str, str], ...]
    sentences: tuple[str, ...]


def details(report: Report, say: Say) -> list[Detail]:
    """Every number of the model's cost, those that are not known with the reason; nothing without a cost."""
    if report.cost is None:
        return []
    found = [_detail(label, quantity, count, say) for label, quantity, count in _numbers(report.cost)]
    for memory in report.cost.memory:
        parts = tuple((_part(name, say), bytes_text(size)) for name, size in memory.parts.items())
        found.append(_detail(memory.title, memory.bytes, bytes_text, say)._replace(parts=parts))
    return found


def lines(report: Report, say: Say) -> list[tuple[str, str]]:
    """What one call costs, and the memory to serve and to train; nothing where nothing is known."""
    return [(one.label, one.value) for one in details(report, say) if one.known]


def _numbers(cost: ModelCost) -> Iterator[tuple[Message, Quantity, CountText]]:
    yield msg("MACs (batch of {batch})", batch=cost.batch), cost.macs, count_text
    yield msg("FLOPs"), cost.flops, count_text
    yield msg("Activations, bytes"), cost.activation_bytes, bytes_text


def _detail(label: Message, found: Quantity, count: CountText, say: Say) -> Detail:
    value = quantity_text(found, say, count=count)
    return Detail(say(label), value, found.value is not None, (), tuple(_sentences(found, say)))


def _part(name: str, say: Say) -> str:
    return say(Message(PARTS[name])) if name in PARTS else name


def _sentences(found: Quantity | Extents, say: Say) -> list[str]:
    return [say(one) for one in (found.method, *found.assumptions) if one is not None]


def partial_lines(report: Report, say: Say) -> list[tuple[str, str]]:
    """Numbers that are partial, and the sentence that says why, each sentence once; memory to train left out."""
    if report.cost is None:
        return []
    numbers = [(label, quantity) for label, quantity, _ in _numbers(report.cost)]
    numbers += [(memory.title, memory.bytes) for memory in report.cost.memory if memory.scenario == "serve"]
    concerned: dict[str, list[str]] = {}
    for label, quantity in numbers:
        reasons = quantity.assumptions if quantity.status == "partial" else ()
        for reason in reasons:
            concerned.setdefault(say(reason), []).append(say(label))
    return [(", ".join(labels), reason) for reason, labels in concerned.items()]


def layer_lines(layer: Layer, say: Say) -> list[tuple[str, str]]:
    """What there is to know of what a layer does and costs beside its weights: label and value."""
    found: list[tuple[Message, str]] = []
    if layer.input_shapes is not None:
        found.append((msg("Input shape"), shapes_text(layer.input_shapes)))
    if layer.output_shapes is not None:
        found.append((msg("Output shape"), shapes_text(layer.output_shapes)))
    if layer.cost is not None:
        found.extend(_costs(layer.cost, say))
    return [(say(label), value) for label, value in found]


def _costs(cost: LayerCost, say: Say) -> Iterator[tuple[Message, str]]:
    for label, quantity, count in (
        (msg("MACs"), cost.macs, count_text),
        (msg("FLOPs"), cost.flops, count_text),
        (msg("Activations, bytes"), cost.activation_bytes, bytes_text),
    ):
        if quantity.value:
            yield label, quantity_text(quantity, say, count=count)
    for title, extents in ((msg("Receptive field"), cost.receptive_field), (msg("Stride"), cost.stride)):
        if extents is not None and extents.value is not None:
            yield title, extents_text(extents, say)
    if cost.calls != 1:
        yield msg("Calls"), count_text(cost.calls)


def extents_text(found: Extents, say: Say) -> str:
    """`11 × 11`, with the mark of what is partial; `?` if unknown."""
    value = "?" if found.value is None else " × ".join(map(str, found.value))
    return say(msg("{value} (partial)", value=value)) if found.status == "partial" else value


def layer_doubts(layer: Layer, say: Say) -> list[str]:
    """Why the MACs of a layer are partial or not known."""
    if layer.cost is None or layer.cost.macs.status == "complete":
        return []
    macs = layer.cost.macs
    return _sentences(macs, say) if macs.value is None else [say(one) for one in macs.assumptions]


def macs_text(layer: Layer) -> str:
    """The MACs of a layer's call; nothing where it has none or no cost, `?` where they are not known."""
    if layer.cost is None or layer.cost.macs.value == 0:
        return ""
    return f"{count_text(layer.cost.macs.value)}{'+' * (layer.cost.macs.status == 'partial')}"


def total_macs(layer: Layer) -> int:
    """The MACs of all calls of a layer, as far as they are known."""
    return 0 if layer.cost is None else (layer.cost.macs.value or 0) * layer.cost.calls
