"""Decodes models whose layers say the same over and over: equal JSON is decoded once and shared. Knows types only.

A model of 100,000 layers repeats a few hundred explanations and quantities, each with sentences of several pieces;
decoding them one by one takes ten times as long, and fills the memory with equal trees. Who only passes layers on
checks them and leaves them the JSON that they are (`Layers`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, overload

import msgspec

from service.costs import ByDtype, Extents, LayerCost, Quantity
from service.language import Message, from_data
from service.tree import Explanation, Layer, Report

MAX_KNOWN = 10_000
"""Most pieces of JSON that are kept while one model is decoded."""

CHECKED_AT_ONCE = 4096
"""Layers whose pieces are held beside one another while they are checked."""

IN_COST: dict[str, Any] = {
    "macs": Quantity,
    "flops": Quantity,
    "activation_elements": Quantity,
    "activation_bytes": Quantity,
    "parameter_bytes": ByDtype,
    "receptive_field": Extents | None,
    "stride": Extents | None,
}
IN_LAYER: dict[str, Any] = {"explanation": Explanation | None, "notes": tuple[Message, ...]}
"""What has sentences in a layer and its cost, and is the same for many layers of a large model."""


def partly(kind: type[msgspec.Struct], types: Mapping[str, Any]) -> type[msgspec.Struct]:
    """A type that decodes as `kind` does, but these fields as these types; `msgspec.Raw` keeps the JSON as it is."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(kind):
        default = {"default": field.default, "default_factory": field.default_factory}
        given = {name: value for name, value in default.items() if value is not msgspec.NODEFAULT}
        if given and types.get(field.name) is msgspec.Raw:
            given = {"default": msgspec.Raw(msgspec.json.encode(field.default))}
        fields.append((field.name, types.get(field.name, field.type), msgspec.field(**given)))
    return msgspec.defstruct(f"_{kind.__name__}", fields, kw_only=True, forbid_unknown_fields=True, gc=False)


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
    return tuple(_whole(light, piece) for light in light_layers.decode(raw))


class Layers(Sequence[Layer]):
    """Layers that were checked to be some, and are left as JSON until somebody looks at one. Equal to a tuple of them.

    Raises msgspec.DecodeError, when made, for JSON that `decode_layers` would not take.
    """

    __slots__ = ("_known", "raw")

    def __init__(self, raw: msgspec.Raw) -> None:
        _check(raw)
        self.raw = raw
        self._known: tuple[Layer, ...] | None = None

    def _decoded(self) -> tuple[Layer, ...]:
        if self._known is None:
            self._known = decode_layers(self.raw)
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


def _check(raw: msgspec.Raw) -> None:
    """Decode everything once: each distinct piece of JSON that has sentences, and all else."""
    layers: list[Any] = light_layers.decode(raw)
    known: dict[str, set[bytes]] = {name: set() for name in _pieces}
    for start in range(0, len(layers), CHECKED_AT_ONCE):
        some = layers[start : start + CHECKED_AT_ONCE]
        costs = [layer.cost for layer in some if layer.cost is not None]
        for holders, names in ((some, IN_LAYER), (costs, IN_COST)):
            for name in names:
                _check_pieces(name, set(map(bytes, map(attrgetter(name), holders))) - known[name], known[name])


def _check_pieces(name: str, texts: set[bytes], known: set[bytes]) -> None:
    for text in texts:
        _pieces[name].decode(text)
    if len(known) < MAX_KNOWN:
        known |= texts


def once(make: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """`make(name, value)` with what it made before given again, for JSON that is equal or the same object."""
    known: dict[tuple[str, bytes | int], tuple[Any, Any]] = {}

    def given(name: str, value: Any) -> Any:
        key = name, bytes(value) if isinstance(value, msgspec.Raw) else id(value)
        found = known.get(key)
        if found is None:
            found = value, make(name, value)  # holds the value, so that no other can have its id
            if len(known) < MAX_KNOWN:
                known[key] = found
        return found[1]

    return given


def _whole(light: Any, piece: Callable[[str, Any], Any]) -> Layer:
    values = {name: getattr(light, name) for name in _NAMES}
    for name in IN_LAYER:
        values[name] = piece(name, values[name])
    if light.cost is not None:
        costs = {name: piece(name, getattr(light.cost, name)) for name in IN_COST}
        values["cost"] = LayerCost(**costs, calls=light.cost.calls)
    return Layer(**values)
