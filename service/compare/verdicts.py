"""Mistakes of a conversion in words; knows codes and names, no arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from service.compare.matched import Match, UnitPair
from service.compare.slots import SlotPair
from service.compare.units import Unit
from service.comparisons import Problem
from service.language import Message, mark, msg


@dataclass(frozen=True, slots=True)
class Explained:
    """What explains some weights of a unit: one code, or several that fit alike; `other`: the unit they belong to."""

    codes: tuple[str, ...]
    slots: tuple[SlotPair, ...] = ()
    other: UnitPair | None = None


_TEXTS = {
    "not_transposed": mark("{weights} of {layer} is not transposed."),
    "reshaped": mark("{weights} of {layer} was reshaped where its axes had to be exchanged."),
    "flatten_order": mark(
        "The inputs of {weights} of {layer} are in the left model's flatten order: right only if the right model"
        " flattens its map in that order too."
    ),
    "gate_order": mark("The gates of {layer} ({weights}) are in the order {found} instead of {expected}."),
    "height_width_swapped": mark("Height and width of {weights} of {layer} are exchanged."),
    "inputs_outputs_swapped": mark("Inputs and outputs of {weights} of {layer} are exchanged."),
    "flipped": mark("{weights} of {layer} is turned by 180 degrees."),
    "head_order": mark("The heads of {weights} of {layer} are interleaved: heads and their sizes are exchanged."),
    "negated": mark("{weights} of {layer} has the opposite sign."),
    "scaled": mark("{weights} of {layer} is {factor} times what it should be."),
    "bias_twice": mark("The bias of {layer} counts twice: it was put whole into both biases."),
    "channels_scaled": mark("Each output of {weights} of {layer} is scaled by a factor of its own."),
    "batch_norm_folded": mark("{weights} of {layer}: the BatchNormalization after it was folded into it."),
    "epsilon_in_variance": mark(
        "{weights} of {layer} has {factor} added: epsilon belongs into the layer, not into it."
    ),
    "standard_deviation": mark("{weights} of {layer} holds the standard deviation, not the variance."),
    "inverse_deviation": mark("{weights} of {layer} holds 1 / the standard deviation, not the variance."),
    "mean_variance_swapped": mark("Mean and variance of {layer} are swapped."),
    "scale_offset_swapped": mark("Scale (gamma) and offset (beta) of {layer} are swapped."),
    "weights_swapped": mark("{weights} of {layer} are swapped."),
    "wrong_weight": mark("{weights} of {layer} holds the numbers of another weight of the layer: {found}."),
    "directions_swapped": mark("Forward and backward of {layer} are swapped."),
    "projections_swapped": mark("The {first} and {second} projections of {layer} are swapped."),
    "layers_swapped": mark("{layer} and {other} are swapped: each holds the numbers of the other."),
    "wrong_layer": mark("{layer} holds the numbers of {other}."),
}
_SWAPS = {
    frozenset({"moving_mean", "moving_variance"}): "mean_variance_swapped",
    frozenset({"scale", "offset"}): "scale_offset_swapped",
}


def problem(pair: UnitPair, explained: Explained, match: Match) -> Problem:
    """One mistake, named; where several explanations fit alike, all of them."""
    if explained.other is not None:
        return _between(pair, explained.other, explained.codes[0])
    named = _merged(explained, pair, match)
    if len(named) == 1:
        code, text = named[0]
        return Problem(code=code, text=text, layers=_layers(pair))
    text = msg(
        "{weights} of {layer} is wrong, and several mistakes would explain it: {texts}",
        weights=_weights(explained.slots), layer=_name(pair), texts=[text for _, text in named],
    )  # fmt: skip
    return Problem(code="ambiguous", text=text, layers=_layers(pair))


def _merged(explained: Explained, pair: UnitPair, match: Match) -> list[tuple[str, Message]]:
    """Each code once, with its sentence."""
    found = {}
    for full in explained.codes:
        code, _, about = full.partition(":")
        code, args = _told(code, about, explained.slots, pair, match)
        found[code, about if code == "gate_order" else ""] = msg(_TEXTS[code], **args)
    return [(code, text) for (code, _), text in found.items()]


def _told(
    code: str, about: str, slots: Sequence[SlotPair], pair: UnitPair, match: Match
) -> tuple[str, dict[str, object]]:
    args: dict[str, object] = {"weights": _weights(slots), "layer": _name(pair)}
    if code == "gate_order":
        gates = slots[0].left[0].gates
        args["found"] = ", ".join(gates[int(place)] for place in about.split(","))
        args["expected"] = ", ".join(slots[0].right[0].gates)
    elif code == "weight_of":
        code = "wrong_weight" if len(slots) < 2 else _SWAPS.get(frozenset({about, slots[0].role}), "weights_swapped")
        args["found"] = about
    elif code == "channels_scaled" and norm_after(pair, match) is not None:
        code = "batch_norm_folded"
    elif about:
        args["factor"] = about
    return code, args


def norm_after(pair: UnitPair, match: Match) -> Unit | None:
    """The BatchNormalization without counterpart that comes right after a layer of the left model."""
    place = next((index for index, other in enumerate(match.pairs) if other is pair), len(match.pairs))
    after = next((other for other in islice(match.pairs, place + 1, None) if other.left is not None), None)
    alone = after is not None and after.right is None
    return after.left if alone and after is not None and after.left and "moving_mean" in after.left.slots else None


def _between(pair: UnitPair, other: UnitPair, code: str) -> Problem:
    """Two units that were taken for one another."""
    tags = (pair.left.tag if pair.left else "", other.left.tag if other.left else "")
    same = _layers(pair)[:1] == _layers(other)[:1]
    if code == "exchanged" and same and any("backward" in tag for tag in tags):
        name, args = "directions_swapped", {"layer": _name(pair)}
    elif code == "exchanged" and same and all(tags):
        name, args = "projections_swapped", {"layer": _name(pair), "first": tags[0], "second": tags[1]}
    else:
        name = "layers_swapped" if code == "exchanged" else "wrong_layer"
        args = {"layer": _name(pair), "other": _name(other)}
    layers = _layers(pair) if same else (*_layers(pair), *_layers(other))
    return Problem(code=name, text=msg(_TEXTS[name], **args), layers=layers)


def _layers(pair: UnitPair) -> tuple[str, ...]:
    return tuple(unit.layer.path for unit in (pair.left, pair.right) if unit is not None)


def _name(pair: UnitPair) -> Message | str:
    """The layer, as both models call it."""
    names = dict.fromkeys(_layers(pair))
    if len(names) < 2:
        return next(iter(names), "")
    left, right = names
    return msg("{left} ({right} in the right model)", left=left, right=right)


def _weights(slots: Sequence[SlotPair]) -> tuple[str, ...]:
    names = [slot.view.weight.name for pair in slots for slot in pair.right]
    return tuple(dict.fromkeys(names))
