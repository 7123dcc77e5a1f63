"""Says the sentences of stored layers in a language, without decoding what has none.

Knows how layers are written as JSON, and that what the service stores was checked; no views, no requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from service import decoding, light
from service.errors import OutdatedReport
from service.language import msg
from service.translation import encoder, speaker

_STARTS = (b'{"path":"', b',{"path":"')
_NOTES = b',"notes":'
_NO_NOTES = b',"notes":[]}'
_SENTENCE = b'{"id":'
"""How a stored layer begins, what stands before its notes, which are its last field, and how a sentence begins."""
_T = TypeVar("_T")


def decoded(decoder: msgspec.json.Decoder[_T], data: bytes | msgspec.Raw) -> _T:
    """What was stored. OutdatedReport where another version stored what this one cannot read."""
    try:
        return decoder.decode(data)
    except msgspec.DecodeError:
        raise outdated() from None


def outdated() -> OutdatedReport:
    """Another version stored it."""
    return OutdatedReport(msg("The stored answer is of another version of the service, which this one cannot read."))


class Saying:
    """Makes JSON in a language of layers, a few at a time; what layers say alike is said once.

    `written_now`: the stored JSON was written by the types of now, so that it lacks no field.
    """

    def __init__(self, language: str, *, written_now: bool = False) -> None:
        self._said = encoder(language)
        self._written_now = written_now
        self._told = decoding.once(self._tell)
        self._endings: dict[bytes, bytes] = {}
        self._sentences = light.Sentences(speaker(language))

    def layers(self, layers: Sequence[Any]) -> bytes:
        """JSON of layers, whose sentences may still be JSON."""
        return self._said.encode([self._layer(layer) for layer in layers])[1:-1]

    def stored(self, layers: Iterable[bytes]) -> list[bytes]:
        """JSON of each layer from its stored JSON, which may have a comma before it: as it is but for its sentences."""
        return [*map(self._one if self._written_now else self._decoded, layers)]

    def _one(self, layer: bytes) -> bytes:
        """One layer; that of most is not decoded, as nothing but their notes has sentences."""
        at = layer.rfind(_NOTES)
        if at < 0 or not layer.startswith(_STARTS) or layer.find(_SENTENCE, 0, at) >= 0:
            return self._decoded(layer)
        # In a text a quotation mark has a backslash before it, so that `,"notes":` is a key; and what stands between
        # it and the brace that ends the layer is a value by itself, so that it is the layer's own.
        ending = layer[at:]
        return layer if ending == _NO_NOTES else layer[:at] + (self._endings.get(ending) or self._end(ending))

    def _end(self, text: bytes) -> bytes:
        """The end of a layer, from its notes on, with these in a language."""
        said = _NOTES + bytes(self._told("notes", msgspec.Raw(text[len(_NOTES) : -1]))) + b"}"
        if len(self._endings) < light.MAX_KNOWN:
            self._endings[text] = said
        return said

    def _decoded(self, layer: bytes) -> bytes:
        own = layer.removeprefix(b",")
        said = self.layers(decoded(decoding.light_layers, b"[" + own + b"]"))
        return said if own is layer else b"," + said

    def _layer(self, layer: Any) -> Any:
        """The layer with everything that has sentences as JSON in a language."""
        values = {name: self._told(name, getattr(layer, name)) for name in light.IN_LAYER}
        if layer.cost is not None:
            cost = {name: self._told(name, getattr(layer.cost, name)) for name in light.IN_COST}
            values["cost"] = msgspec.structs.replace(layer.cost, **cost)
        return msgspec.structs.replace(layer, **values)

    def _tell(self, name: str, value: Any) -> msgspec.Raw:
        if isinstance(value, msgspec.Raw):
            value = light.said(name, decoded(light.decoders[name], value), self._sentence)
        return msgspec.Raw(self._said.encode(value))

    def _sentence(self, value: msgspec.Raw) -> msgspec.Raw:
        """JSON of a sentence in a language, from its JSON."""
        try:
            return msgspec.Raw(msgspec.json.encode(self._sentences.of(bytes(value))))
        except msgspec.DecodeError:
            raise outdated() from None
