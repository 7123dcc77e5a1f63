"""Sentences inside of pieces of layers are found, checked and replaced as they would be in decoded ones."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from service import light
from service.costs import ByDtype, Extents, Quantity
from service.language import Message, as_data, from_data, msg, msgn, sentences
from service.translation import encoder, speaker
from service.tree import Explanation, Part, Term

FIRST, SECOND, THIRD = msg("First {a}.", a=1234), msgn("{n} second", "{n} seconds", n=2), msg("Third.")
EXPLANATION = Explanation(
    formula="2 = 2", text=FIRST, expert=sentences(SECOND, THIRD), total=2,
    terms=(Term(symbol="a", meaning=THIRD, value=2), Term(symbol="b", meaning=SECOND, value=1)),
    parts=(Part(group="trainable", names=("x",), count=2),),
)  # fmt: skip
PIECES: list[tuple[str, Any, list[Message]]] = [
    ("explanation", None, []),
    ("explanation", EXPLANATION, [FIRST, sentences(SECOND, THIRD), THIRD, SECOND]),
    ("notes", (), []),
    ("notes", (FIRST, THIRD), [FIRST, THIRD]),
    ("macs", Quantity(value=3, status="partial", method=FIRST, assumptions=(SECOND, THIRD)), [FIRST, SECOND, THIRD]),
    ("flops", Quantity(value=None, status="unavailable"), []),
    ("activation_bytes", Quantity(value=3, status="complete", assumptions=(FIRST,)), [FIRST]),
    ("parameter_bytes", ByDtype(value={"id": 1}, status="complete", method=FIRST), [FIRST]),
    ("stride", Extents(value=(1, 2), status="complete", method=THIRD), [THIRD]),
    ("receptive_field", None, []),
]


def encoded(value: object) -> bytes:
    return msgspec.json.encode(value, enc_hook=as_data)


@pytest.mark.parametrize(("name", "piece", "told"), PIECES)
def test_sentences_are_found_and_replaced(name: str, piece: Any, told: list[Message]) -> None:
    """All of them, in order; with each in a language the piece is what it would be said whole."""
    found = light.decoders[name].decode(encoded(piece))
    assert [bytes(one) for one in light.sentences(name, found)] == list(map(encoded, told))
    said = light.said(name, found, lambda text: msgspec.Raw(encoder("en").encode(decoded(bytes(text)))))
    assert msgspec.json.encode(said) == encoder("en").encode(piece)


def decoded(text: bytes) -> Message:
    return msgspec.json.decode(text, type=Message, dec_hook=from_data)


def holds_sentences(kind: Any) -> bool:
    """Whether a type has a sentence anywhere in it."""
    if kind is Message:
        return True
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return any(holds_sentences(field.type) for field in msgspec.structs.fields(kind))
    return any(map(holds_sentences, get_args(kind)))


@pytest.mark.parametrize("name", light.decoders)
def test_no_sentence_is_left_unlooked_at(name: str) -> None:
    """A field that gets one later is JSON in the light type as well: what it decodes by itself holds none."""
    kinds = {**light.IN_LAYER, **light.IN_COST}
    assert holds_sentences(kinds[name])
    assert not holds_sentences(light._TYPES[name])


def nested(depth: int) -> bytes:
    text = b'{"id":"x"}'
    for _ in range(depth):
        text = b'{"id":"{a}","args":{"a":%s}}' % text
    return text


def listed(depth: int) -> bytes:
    text = b'{"id":"x"}'
    for _ in range(depth):
        text = b'{"id":"{a}","args":{"a":[%s]}}' % text
    return text


TEXTS = [
    b'"bare"', b'{"id":"x"}', b'{"id":"x","plural":"y","args":{"n":2}}', b'{"id":"x","args":{}}',
    b'{"id":"","more":[]}',
    b'{"id":"{a} {b} {c}","args":{"a":1,"b":"t","c":null}}', b'{"id":"{a}","args":{"a":[1,"b",{"id":"c"},[2]]}}',
    b'{"id":"{a}","args":{"a":{"id":"{b}","args":{"b":["c"]}}}}', b'{"id":"x","plural":null,"args":{"a":1.5,"b":true}}',
    b'{"id":"x","id":"y"}', *(nested(depth) for depth in range(11)), *(listed(depth) for depth in range(7)),
    b'{"id":"{a}","args":{"a":[[[[[[[[[1]]]]]]]]]}}', b'{"id":"{a}","args":{"a":[[[[[[[[1]]]]]]]]}}',
    b'{"id":"{a} {b}","args":{"a":%s,"b":%s}}' % (nested(7), nested(8)),
    b'{"id":"{a} {b}","args":{"a":%s,"b":%s}}' % (nested(7), listed(3)),
    b"", b"null", b"3", b"[]", b"{}", b'{"id":1}', b'{"id":null}', b'{"id":"x","plural":3}', b'{"id":"x","args":[]}',
    b'{"id":"x","args":null}', b'{"id":"{a}","args":{"a":{"no":"id"}}}', b'{"id":"{a}","args":{"a":[{}]}}',
    b'{"id":"x"',
    b'{"id":"\xff"}', b'{"id":"x","args":{"a":01}}',
]  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
@pytest.mark.parametrize("text", TEXTS)
def test_sentences_are_taken_as_decoding_takes_them(text: bytes, language: str) -> None:
    """The same are refused, as deep ones inside of others; the same is said of all others. Again as at first."""
    try:
        expected = speaker(language)(decoded(text))
    except (msgspec.DecodeError, UnicodeDecodeError):
        expected = None
    given = light.Sentences(speaker(language))
    for _ in range(2):
        if expected is None:
            with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
                given.of(text)
        else:
            assert given.of(text) == expected


def test_a_sentence_that_goes_deep_is_no_shallow_one_when_it_comes_again() -> None:
    """What was taken by itself may be too deep inside of another."""
    given = light.Sentences(str)
    assert given.of(nested(8)) == "x"
    with pytest.raises(msgspec.DecodeError):
        given.of(nested(9))


def test_equal_sentences_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By themselves or inside of others, as far as is remembered."""
    made: list[str] = []
    given = light.Sentences(lambda message: made.append(message.id) or message.id)
    for text in (nested(1), nested(0), nested(1)):
        given.of(text)
    assert made == ["x", "{a}"]
    monkeypatch.setattr(light, "MAX_KNOWN", 0)
    given = light.Sentences(lambda message: made.append(message.id) or message.id)
    given.of(nested(0))
    given.of(nested(0))
    assert made == ["x", "{a}", "x", "x"]
