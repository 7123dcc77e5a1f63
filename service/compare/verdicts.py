"""Mistakes of a conversion in words; knows codes and names, no arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.compare.attention import PROJECTIONS
from service.compare.matched import UnitPair
from service.compare.slots import SlotPair
from service.compare.units import Unit
from service.comparisons import Problem
from service.language import Message, mark, msg, sentences


@dataclass(frozen=True, slots=True)
class Explained:
    """What explains some weights of a unit: one code, or several that fit alike; `other`: the unit they belong to."""

    codes: tuple[str, ...]
    slots: tuple[SlotPair, ...] = ()
    other: UnitPair | None = None


_TEXTS = {
    "not_transposed": mark("The axes of {weights} of {layer} are not transposed."),
    "reshaped": mark("{weights} of {layer} was reshaped where its axes had to be exchanged."),
    "flatten_order": mark(
        "The inputs of {weights} of {layer} are in the left model's flatten order: right only if the right model"
        " flattens its map in that order too."
    ),
    "gate_order": mark("The gates of {layer} ({weights}) are in the order {found} instead of {expected}."),
    "projection_order": mark("The projections of {layer} are stacked in the order {found} instead of {expected}."),
    "heads_stacked": mark(
        "The heads of {layer} are interleaved: one model stacks query, key and value head by head, the other one below"
        " the other."
    ),
    "height_width_swapped": mark("Height and width of {weights} of {layer} are exchanged."),
    "inputs_outputs_swapped": mark("Inputs and outputs of {weights} of {layer} are exchanged."),
    "multiplier_order": mark("The outputs of {weights} of {layer} are ordered by multiplier first, not by channel."),
    "flipped": mark("The filters of {layer} ({weights}) are turned by 180 degrees."),
    "mirrored": mark("The filters of {layer} ({weights}) are mirrored along {axes}."),
    "head_order": mark("The heads of {weights} of {layer} are interleaved: heads and their sizes are exchanged."),
    "rows_shifted": mark("The rows of {weights} of {layer} are shifted by one."),
    "negated": mark("The values of {weights} of {layer} have the opposite sign."),
    "scaled": mark("The values of {weights} of {layer} are {factor} times what they should be."),
    "bias_twice": mark("The bias of {layer} counts twice: it was put whole into both biases."),
    "channels_scaled": mark("Each output of {weights} of {layer} is scaled by a factor of its own."),
    "not_finite": mark(
        "In {weights} of {layer} there are values that are NaN or infinite in one model only ({count}); all others are"
        " equal."
    ),
    "some_values": mark("Some values of {weights} of {layer} differ ({count}); all others are equal."),
    "epsilon_in_variance": mark(
        "{weights} of {layer} has {factor} added: epsilon belongs into the layer, not into it."
    ),
    "standard_deviation": mark("{weights} of {layer} holds the standard deviation, not the variance."),
    "inverse_deviation": mark("{weights} of {layer} holds 1 / the standard deviation, not the variance."),
    "mean_variance_swapped": mark("Mean and variance of {layer} are swapped."),
    "scale_offset_swapped": mark("Scale (gamma) and offset (beta) of {layer} are swapped."),
    "weights_swapped": mark("{weights} of {layer} are swapped."),
    "wrong_weight": mark("{weights} of {layer}: these are the numbers of another weight of the layer, {found}."),
    "directions_swapped": mark("Forward and backward of {layer} are swapped."),
    "projections_swapped": mark("The {first} and {second} projections of {layer} are swapped."),
    "layers_swapped": mark("{layer} and {other} are swapped: each holds the numbers of the other."),
    "wrong_layer": mark("{layer} holds the numbers of {other}."),
    "batch_norm_folded": mark(
        "The BatchNormalization {norm} was folded into {weights} of {layer}, but {wrong} does not hold what this gives."
    ),
}
_SWAPS = {
    frozenset({"moving_mean", "moving_variance"}): "mean_variance_swapped",
    frozenset({"scale", "offset"}): "scale_offset_swapped",
}
_GATES = {
    "input": msg("input"), "forget": msg("forget"), "cell": msg("cell"), "output": msg("output"),
    "update": msg("update"), "reset": msg("reset"), "new": msg("new"),
}  # fmt: skip
_PLACES = {"length": msg("length"), "depth": msg("depth"), "height": msg("height"), "width": msg("width")}


def problem(pair: UnitPair, explained: Explained) -> Problem:
    """One mistake, named; where several explanations fit alike, all of them."""
    if explained.other is not None:
        return _between(pair, explained.other, explained.codes[0])
    named = _merged(explained, pair)
    if len(named) == 1:
        code, text = named[0]
        return Problem(code=code, text=text, layers=_layers(pair))
    text = msg(
        "Several mistakes would each explain {weights} of {layer}: {texts}",
        weights=_weights(explained.slots), layer=name_of(pair), texts=sentences(*(text for _, text in named)),
    )  # fmt: skip
    return Problem(code="ambiguous", text=text, layers=_layers(pair))


def _merged(explained: Explained, pair: UnitPair) -> list[tuple[str, Message]]:
    """Each code once, with its sentence."""
    found = {}
    for full in sorted(explained.codes):
        code, _, about = full.partition(":")
        name, args = _told(code, about, explained.slots, pair)
        found[name, about if code in _ORDERS else ""] = msg(_TEXTS[name], **args)
    return [(_CODES.get(code, code), text) for (code, _), text in found.items()]


_ORDERS = frozenset({"gate_order", "projection_order", "mirrored", "weight_of"})
_CODES = {"mirrored": "flipped", "heads_stacked": "head_order"}
"""Codes of mistakes that are told in several ways."""


def _told(code: str, about: str, slots: Sequence[SlotPair], pair: UnitPair) -> tuple[str, dict[str, object]]:
    args: dict[str, object] = {"weights": _weights(slots), "layer": name_of(pair)}
    if code == "gate_order":
        gates = slots[0].left[0].gates
        args["found"] = tuple(_GATES[gates[int(place)]] for place in about.split(","))
        args["expected"] = tuple(_GATES[gate] for gate in slots[0].right[0].gates)
    elif code == "projection_order":
        args["found"] = tuple(PROJECTIONS[int(place)] for place in about.split(","))
        args["expected"] = PROJECTIONS
    elif code == "mirrored":
        args["axes"] = tuple(_PLACES[axis] for axis in about.split(","))
    elif code == "swapped_with":
        code = _SWAPS.get(frozenset({about, slots[0].role}), "weights_swapped")
    elif code == "weight_of":
        code, args["found"] = "wrong_weight", _called(pair, about)
    elif code in ("not_finite", "some_values"):
        args["count"] = int(about)
    elif about:
        args["factor"] = about
    return code, args


def _called(pair: UnitPair, role: str) -> str:
    """What the left model calls the weight of a role."""
    slot = pair.left.slots.get(role) if pair.left is not None else None
    return role if slot is None else slot.view.weight.name


def badly_folded(pair: UnitPair, norm: Unit, slots: Sequence[SlotPair], wrong: Sequence[SlotPair]) -> Problem:
    """A normalisation that was folded, but not into all of a layer's weights."""
    args = {"weights": _weights(slots), "layer": name_of(pair), "norm": norm.layer.path,
            "wrong": _weights(wrong) or ("bias",)}  # fmt: skip
    code = "batch_norm_folded"
    return Problem(code=code, text=msg(_TEXTS[code], **args), layers=_layers(pair))


def _between(pair: UnitPair, other: UnitPair, code: str) -> Problem:
    """Two units that were taken for one another."""
    tags = (pair.left.tag if pair.left else "", other.left.tag if other.left else "")
    same = _layers(pair)[:1] == _layers(other)[:1]
    if code == "exchanged" and same and any("backward" in tag for tag in tags):
        name, args = "directions_swapped", {"layer": name_of(pair)}
    elif code == "exchanged" and same and all(tags):
        name, args = "projections_swapped", {"layer": name_of(pair), "first": tags[0], "second": tags[1]}
    else:
        name = "layers_swapped" if code == "exchanged" else "wrong_layer"
        args = {"layer": name_of(pair), "other": name_of(other)}
    layers = _layers(pair) if same else (*_layers(pair), *_layers(other))
    return Problem(code=name, text=msg(_TEXTS[name], **args), layers=layers)


def _layers(pair: UnitPair) -> tuple[str, ...]:
    return tuple(unit.layer.path for unit in (pair.left, pair.right) if unit is not None)


def name_of(pair: UnitPair) -> Message | str:
    """The layer, as both models call it."""
    names = dict.fromkeys(_layers(pair))
    if len(names) < 2:
        return next(iter(names), "")
    left, right = names
    return msg("{left} ({right} in the right model)", left=left, right=right)


def _weights(slots: Sequence[SlotPair]) -> tuple[str, ...]:
    names = [slot.view.weight.name for pair in slots for slot in pair.right]
    return tuple(dict.fromkeys(names))
