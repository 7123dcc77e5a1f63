"""Decodes models whose layers say the same over and over: equal JSON is decoded once and shared. Knows types only.

A model of 100,000 layers repeats a few hundred explanations and quantities, each with sentences of several pieces;
decoding them one by one takes ten times as long, and fills the memory with equal trees. Who only passes layers on
checks them and leaves them the JSON that they are (`Layers`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any, overload

import msgspec

from service import light
from service.costs import LayerCost
from service.language import from_data
from service.light import IN_COST, IN_LAYER, partly
from service.splicing import BREAK
from service.tree import Layer, Report

CHECKED_AT_ONCE = 4096
"""Layers whose pieces are held beside one another while they are checked."""

LIGHT_LAYER = partly(
    Layer,
    {
        **dict.fromkeys(IN_LAYER, msgspec.Raw),
        "cost": partly(LayerCost, dict.fromkeys(IN_COST, msgspec.Raw)) | None,
    },
)
"""A layer whose sentences are left as the JSON that they are."""

outline = msgspec.json.Decoder(partly(Report, {"layers": msgspec.Raw}), dec_hook=from_data)
"""A report whose layers are left as the JSON that they are."""
listing = msgspec.json.Decoder(partly(Report, {"layers": list[msgspec.Raw]}), dec_hook=from_data)
"""A report whose layers are left as JSON, one by one."""
light_layers: Any = msgspec.json.Decoder(list[LIGHT_LAYER], dec_hook=from_data)  # type: ignore[valid-type]
_pieces = {name: msgspec.json.Decoder(kind, dec_hook=from_data) for name, kind in {**IN_COST, **IN_LAYER}.items()}
_light_layer: Any = msgspec.json.Decoder(LIGHT_LAYER, dec_hook=from_data)
_texts = msgspec.json.Decoder(list[msgspec.Raw])
_NAMES = Layer.__struct_fields__


def decode_piece(name: str, raw: msgspec.Raw) -> Any:
    """A field of `IN_COST` or `IN_LAYER` from its JSON. Raises msgspec.DecodeError."""
    return _pieces[name].decode(raw)


def decode_report(data: bytes) -> Report:
    """A report. Raises msgspec.DecodeError."""
    found: Any = outline.decode(data)
    values = {name: getattr(found, name) for name in Report.__struct_fields__}
    return Report(**{**values, "layers": decode_layers(found.layers)})


def decode_layers(raw: bytes | msgspec.Raw) -> tuple[Layer, ...]:
    """A list of layers. Raises msgspec.DecodeError."""
    piece = once(decode_piece)
    return tuple(_whole(found, piece) for found in light_layers.decode(raw))


class Layers(Sequence[Layer]):
    """Layers that were checked to be some, left as JSON until somebody looks at one. Equal to a tuple of them.

    `pieces`: lines of some layers each, as `Checker` gives them.
    """

    __slots__ = ("_known", "pieces")

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = tuple(pieces)
        self._known: tuple[Layer, ...] | None = None

    def json(self) -> msgspec.Raw:
        """The list of them all."""
        return msgspec.Raw(b"[" + b",".join([piece.replace(BREAK, b",") for piece in self.pieces]) + b"]")

    def _decoded(self) -> tuple[Layer, ...]:
        if self._known is None:
            self._known = decode_layers(self.json())
        return self._known

    def __len__(self) -> int:
        return len(self._decoded())

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._decoded())

    @overload
    def __getitem__(self, at: int) -> Layer: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Layer, ...]: ...

    def __getitem__(self, at: int | slice) -> Layer | tuple[Layer, ...]:
        return self._decoded()[at]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._decoded() == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # neither has a tuple of layers one: their settings are dictionaries


class Checker:
    """Checks the layers of one model, some at a time: everything is decoded, each distinct text with sentences once."""

    def __init__(self) -> None:
        self._known: dict[str, set[bytes]] = {name: set() for name in _pieces}
        self._sentences = light.Sentences(lambda _: None, new=True)

    def checked_list(self, untrusted_layers: msgspec.Raw) -> list[bytes]:
        """The lines of the layers in a list; none of an empty one. Raises msgspec.DecodeError for anything else."""
        lines = [*map(bytes, _texts.decode(untrusted_layers))]
        return [self.checked(BREAK.join(lines))] if lines else []

    def checked(self, untrusted_layers: bytes) -> bytes:
        """Lines that are one layer each. Raises msgspec.DecodeError for anything else."""
        layers: list[Any] = [*map(_light_layer.decode, untrusted_layers.split(BREAK))]
        for start in range(0, len(layers), CHECKED_AT_ONCE):
            some = layers[start : start + CHECKED_AT_ONCE]
            costs = [layer.cost for layer in some if layer.cost is not None]
            for holders, names in ((some, IN_LAYER), (costs, IN_COST)):
                for name in names:
                    self._check(name, set(map(bytes, map(attrgetter(name), holders))))
        return untrusted_layers

    def _check(self, name: str, texts: set[bytes]) -> None:
        known = self._known[name]
        for text in texts - known:
            for sentence in light.sentences(name, light.decoders[name].decode(text)):
                self._sentences.of(bytes(sentence))
        if len(known) < light.MAX_KNOWN:
            known |= texts


def once(make: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """`make(name, value)` with what it made before given again, for JSON that is equal or the same object."""
    known: dict[tuple[str, bytes | int], tuple[Any, Any]] = {}

    def given(name: str, value: Any) -> Any:
        key = name, bytes(value) if isinstance(value, msgspec.Raw) else id(value)
        found = known.get(key)
        if found is None:
            found = value, make(name, value)  # holds the value, so that no other can have its id
            if len(known) < light.MAX_KNOWN:
                known[key] = found
        return found[1]

    return given


def _whole(found: Any, piece: Callable[[str, Any], Any]) -> Layer:
    values = {name: getattr(found, name) for name in _NAMES}
    for name in IN_LAYER:
        values[name] = piece(name, values[name])
    if found.cost is not None:
        costs = {name: piece(name, getattr(found.cost, name)) for name in IN_COST}
        values["cost"] = LayerCost(**costs, calls=found.cost.calls)
    return Layer(**values)
