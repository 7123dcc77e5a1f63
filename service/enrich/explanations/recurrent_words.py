"""What there is to say of recurrent cells; knows their sizes and each framework's biases, no weights."""

from __future__ import annotations

from collections.abc import Iterable

from service.enrich.explanations.cell import GATES, Cell
from service.enrich.explanations.recipe import listed
from service.enrich.explanations.remarks import no_effect, without_or_with_bias
from service.language import Message, msg, msgn, sentences
from service.tree import Layer

_NAMES = {1: "RNN", 3: "GRU", 4: "LSTM"}
_KERAS_NAMES = {1: "SimpleRNN", 3: "GRU", 4: "LSTM"}
_MAX_TOLD = 4
"""Most different cells described one by one."""


def gates_named(gates: int) -> Message:
    """The gates by their names."""
    if gates == GATES["lstm"]:
        return msg("gates: input, forget, cell and output")
    if gates == GATES["gru"]:
        return msg("gates: update, reset and candidate")
    return msg("one set of weights: it has no gates")


def text(layer: Layer, cells: list[Cell]) -> Message:
    """What each cell holds, cells of equal sizes told once."""
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.sizes, []).append(cell)
    told = [_group(group) for group in list(groups.values())[:_MAX_TOLD]]
    if layer.kind == "bidirectional":
        told.insert(0, msg("Two layers with weights of their own read the sequence, one forward and one backward."))
    return sentences(*told)


def _group(group: list[Cell]) -> Message:
    names = tuple(cell.name for cell in group if cell.name)
    if not names:
        return _sentence(group[0])
    return msg("{cells}: {sentence}", cells=listed(names), sentence=_sentence(group[0]))


def _sentence(cell: Cell) -> Message:
    return sentences(_matrices(cell), _biases(cell), _projection(cell), _extras(cell))


def _matrices(cell: Cell) -> Message:
    if not cell.inputs:
        return msgn(
            "It has one set of weights from {state} values of the previous state to {units} units; another layer "
            "multiplies the inputs.",
            "There are {n} gates, each with weights from {state} values of the previous state to {units} units; "
            "another layer multiplies the inputs.",
            n=cell.gates, state=cell.carried, units=cell.units,
        )  # fmt: skip
    if cell.gates == 1:
        return msg("The cell has weights from {inputs} inputs and from {state} values of the previous state to "
                   "{units} units.", inputs=cell.inputs, state=cell.carried, units=cell.units)  # fmt: skip
    if cell.gates == GATES["gru"]:
        return msg("There are 3 gates (update, reset and candidate), each with weights from {inputs} inputs and from "
                   "{state} values of the previous state to {units} units.",
                   inputs=cell.inputs, state=cell.carried, units=cell.units)  # fmt: skip
    return msg("There are 4 gates (input, forget, cell and output), each with weights from {inputs} inputs and "
               "from {state} values of the previous state to {units} units.",
               inputs=cell.inputs, state=cell.carried, units=cell.units)  # fmt: skip


def _extras(cell: Cell) -> Message | None:
    """What few cells have."""
    found = (
        msg("Each kernel holds both: {inputs} rows for the inputs, and below them {state} rows for the state.",
            inputs=cell.inputs, state=cell.carried) if cell.joined else None,
        msg("The candidate has one bias more for each unit.") if cell.candidate_biases else None,
        msg("{gates} gates see the cell through a weight of each unit (peepholes).", gates=cell.peepholes)
        if cell.peepholes
        else None,
        msg("{gates} gates are normalised, with a scale for each unit.", gates=cell.scales) if cell.scales else None,
    )  # fmt: skip
    return sentences(*found) if any(found) else None


def _biases(cell: Cell) -> Message:
    if cell.biases == 0:
        return msg("There is no bias.")
    if cell.biases == 1:
        return msg("Each unit has one bias per gate.") if cell.gates > 1 else msg("Each unit has one bias.")
    if cell.gates > 1:
        return msg("Each unit has two biases per gate, one beside the inputs and one beside the state.")
    return msg("Each unit has two biases, one beside the inputs and one beside the state.")


def _projection(cell: Cell) -> Message | None:
    if not cell.projected:
        return None
    return msg(
        "A projection without gates brings the {units} values down to {size}.", units=cell.units, size=cell.carried
    )


def expert(layer: Layer, framework: str, cells: list[Cell], total: int) -> Message:
    """What options do to a count of `total`, and what the other framework would count."""
    if framework == "keras":
        return _keras(cells, total)
    return _torch(layer, cells, total) if framework == "torch" else _other(framework, cells, total)


def _other(framework: str, cells: list[Cell], total: int) -> Message:
    """Of formats that have neither's options."""
    held = sum(cell.held_biases for cell in cells)
    return sentences(
        without_or_with_bias(framework, True, total, held) if held else None,
        msg("PyTorch keeps two biases per gate; Keras keeps one, and two in a GRU with reset_after=True."),
        msg("Neither Keras nor PyTorch has peepholes.") if any(cell.peepholes for cell in cells) else None,
        msg("The number of time steps does not change the count."),
    )


def _width(cells: Iterable[Cell]) -> int:
    """Values in one bias vector of every cell."""
    return sum(cell.bias_values for cell in cells)


def _keras(cells: list[Cell], total: int) -> Message:
    held = sum(cell.biases * cell.bias_values for cell in cells)
    return sentences(
        without_or_with_bias("keras", held > 0, total, held or _default_biases(cells)),
        *_keras_biases(cells, total),
        msg("return_sequences, return_state, stateful, go_backwards, dropout, the activations and, for Bidirectional, "
            "merge_mode do not change the count."),
    )  # fmt: skip


def _default_biases(cells: list[Cell]) -> int:
    return sum(cell.bias_values * (2 if cell.gates == GATES["gru"] else 1) for cell in cells)


def _keras_biases(cells: list[Cell], total: int) -> list[Message]:
    """Where Keras' biases differ from PyTorch's, for cells that are all of one sort."""
    sorts = {(cell.gates, cell.biases) for cell in cells}
    if len(sorts) > 1:
        return [msg("PyTorch keeps two biases per gate; Keras keeps one, and two in a GRU with reset_after=True.")]
    gates, biases = sorts.pop()
    width, name = _width(cells), _NAMES[gates]
    if biases == 0:
        return [msg("torch.nn.{name} with bias=False counts the same.", name=name)]
    if biases > 1:
        known = [msg("The second bias makes it count as torch.nn.{name} does.", name=name)]
        return [*known, msg("With reset_after=False it would be {count}.", count=total - width)] if gates == GATES[
            "gru"] else known  # fmt: skip
    more = [msg("With reset_after=True it would be {count}.", count=total + width)] if gates == GATES["gru"] else []
    return [
        *more,
        msg("PyTorch keeps a second bias: torch.nn.{name} would count {more} more, {count}.",
            name=name, more=width, count=total + width),
    ]  # fmt: skip


def _torch(layer: Layer, cells: list[Cell], total: int) -> Message:
    first = cells[0]
    held = sum(cell.biases * cell.bias_values for cell in cells)
    return sentences(
        without_or_with_bias("torch", held > 0, total, held or 2 * _width(cells)),
        _torch_biases(first, held > 0, total, _width(cells)),
        msg("Keras has one layer for each of the stacked ones, and Bidirectional around two for both directions.")
        if len(cells) > 1
        else None,
        msg("Keras has no projection (proj_size).") if first.projected else None,
        _no_effect(layer, first),
    )


def _no_effect(layer: Layer, cell: Cell) -> Message | None:
    options = () if layer.kind == "rnn_cell" else ("dropout", "batch_first")
    return no_effect("torch", torch=(*options, "nonlinearity") if cell.gates == 1 else options)


def _torch_biases(cell: Cell, held: bool, total: int, width: int) -> Message:
    name = _KERAS_NAMES[cell.gates]
    if not held:
        return msg("keras.layers.{name} with use_bias=False counts the same.", name=name)
    if cell.gates == GATES["gru"]:
        return msg("keras.layers.GRU keeps two biases too (reset_after=True, its default) and counts the same; with "
                   "reset_after=False it has one and would count {count}.", count=total - width)  # fmt: skip
    return msg("PyTorch keeps two biases per gate, Keras one: keras.layers.{name} would count {less} less, {count}.",
               name=name, less=width, count=total - width)  # fmt: skip
