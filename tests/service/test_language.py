"""Messages: immutable data that fills plain places only, and comes back from JSON as it went."""

from __future__ import annotations

import msgspec
import pytest

from service.language import Message, as_data, from_data, msg, msgn, sentences, verbatim

NESTED = msgn("{n} part: {what}", "{n} parts: {what}", 2, what=("kernel", msg("{size} values", size=2048)))


def test_arguments_fill_their_places() -> None:
    """Numbers get thousands separated, lists are joined, messages within messages are said too."""
    assert str(NESTED) == "2 parts: kernel and 2,048 values"
    assert str(msgn("{n} part", "{n} parts", 1)) == "1 part"
    assert str(sentences(msg("One."), None, msg("Two."))) == "One. Two."
    assert str(verbatim("{not} a place")) == "{not} a place"


@pytest.mark.parametrize("template", ["{a.__class__}", "{a[0]}", "{a!r}", "{a:>9999}", "{0}", "{", "{}", "{missing}"])
def test_a_template_reaches_into_nothing(template: str) -> None:
    """Attributes, items, conversions and widths are no places: a hostile template stays text."""
    assert str(Message(template, {"a": 7}.items())) == template


def test_json_gives_back_the_same_message() -> None:
    """What is stored is template and arguments; what an older version stored is text."""
    data = msgspec.json.encode([NESTED], enc_hook=as_data)
    assert msgspec.json.decode(data, type=list[Message], dec_hook=from_data) == [NESTED]
    assert b"2,048" not in data
    assert str(msgspec.json.decode(b'"old text"', type=Message, dec_hook=from_data)) == "old text"


@pytest.mark.parametrize(
    "data", [b"{}", b'{"id": 3}', b"[]", b"7", b'{"id": "a", "args": []}', b'{"id": "a", "plural": 1}', b"null"]
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    """The other side of the wall is not trusted."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(data, type=Message, dec_hook=from_data)


def test_depth_is_bounded() -> None:
    """A message within a message a hundred times is refused when decoded, and cut when said."""
    deep = msg("end")
    for _ in range(100):
        deep = msg("<{inner}>", inner=deep)
    assert "…" in str(deep)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(deep, enc_hook=as_data), type=Message, dec_hook=from_data)


def test_messages_do_not_change() -> None:
    """Equal ones are equal wherever they were made, and no field can be set."""
    assert msg("a {b}", b=[1]) == msg("a {b}", b=(1,))
    assert len({msg("a"), msg("a"), msg("b")}) == 2
    with pytest.raises(AttributeError):
        msg("a").id = "b"
