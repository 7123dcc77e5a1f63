"""Small XML: agrees with expat on sound documents, refuses what no model file needs, never backtracks."""

from __future__ import annotations

from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile, UnsupportedFeature
from service.parsers.xml import CLOSE, LEAF, OPEN, attributes, document, root_name, tags
from service.source import BytesSource, Meter

NAMES = st.sampled_from(["net", "layer", "data", "port", "x-y", "a.b", "a:b"])
TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12)
ELEMENTS = st.recursive(
    st.tuples(NAMES, st.dictionaries(NAMES, TEXTS, max_size=3), st.just([])),
    lambda inner: st.tuples(NAMES, st.dictionaries(NAMES, TEXTS, max_size=3), st.lists(inner, max_size=3)),
    max_leaves=8,
)


def written(element: Any) -> str:
    name, given_attributes, children = element
    head = name + "".join(f" {key}={quoteattr(value)}" for key, value in given_attributes.items())
    return f"<{head}>{''.join(map(written, children))}</{name}>" if children else f"<{head}/>"


def events(text: str) -> list[tuple[str, str, dict[str, str]]]:
    found: list[tuple[str, str, dict[str, str]]] = []
    for tag in tags(text, max_depth=50):
        if tag.kind != CLOSE:
            found.append(("open", tag.name, attributes(tag)))
        if tag.kind != OPEN:
            found.append(("close", tag.name, {}))
    return found


def expats(text: str) -> list[tuple[str, str, dict[str, str]]]:
    found: list[tuple[str, str, dict[str, str]]] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, given: found.append(("open", name, given))
    parser.EndElementHandler = lambda name: found.append(("close", name, {}))
    parser.Parse(text, True)
    return found


@given(ELEMENTS)
def test_documents_are_read_as_expat_reads_them(element: Any) -> None:
    """Names, attributes with entities, and nesting."""
    text = "<?xml version='1.0'?>\n<!-- a > comment -->" + written(element) + "\n<!-- end -->\n"
    assert events(text) == expats(text)


def test_skipped_elements_are_leaves() -> None:
    """Whatever is in them; one that never ends is truncated."""
    found = [(tag.kind, tag.name) for tag in tags("<a><b><c/><!</b>\n<d/></a>", max_depth=9, skipped=frozenset("b"))]
    assert found == [(OPEN, "a"), (LEAF, "b"), (LEAF, "d"), (CLOSE, "a")]
    with pytest.raises(TruncatedFile):
        list(tags("<a><b><c/></a>", max_depth=9, skipped=frozenset("b")))


def test_an_element_that_was_passed_over_can_be_read_where_it_lies() -> None:
    """It comes as a leaf with all of its content as text; from its place on its own tags come, and no other."""
    text = "<a><b x='>'> <c>1</c>\n</b><b/><d/></a>"
    passed = [tag for tag in tags(text, max_depth=9, skipped=frozenset("b")) if tag.name == "b"]
    assert [(tag.kind, tag.text) for tag in passed] == [(LEAF, " <c>1</c>\n"), (LEAF, "")]
    inner = [[(tag.kind, tag.name, tag.at) for tag in tags(text, max_depth=9, begin=one.at)] for one in passed]
    assert inner == [[(OPEN, "b", 3), (LEAF, "c", 13), (CLOSE, "b", 22)], [(LEAF, "b", 26)]]
    broken = "<a><b><c></b></a>"
    (passed,) = (tag for tag in tags(broken, max_depth=9, skipped=frozenset("b")) if tag.name == "b")
    with pytest.raises(MalformedFile) as caught:
        list(tags(broken, max_depth=9, begin=passed.at))
    assert caught.value.info.offset == 9


def test_a_greater_sign_may_stand_in_an_attribute() -> None:
    """XML allows it, in either quotes."""
    assert events("<a b=\"1>0\" c='x\"y'/>")[0] == ("open", "a", {"b": "1>0", "c": 'x"y'})


@pytest.mark.parametrize(
    ("text", "error", "offset"),
    [
        ("<a><b></a>", MalformedFile, 6),
        ("<a></a><b/>", MalformedFile, 7),
        ("</a>", MalformedFile, 0),
        ("<a b='1' b='2'/>", MalformedFile, 0),
        ("<a b=1/>", MalformedFile, 0),
        ("<a>< b/></a>", MalformedFile, 3),
        ("<a><b>", TruncatedFile, 6),
        ("<a><b x='", TruncatedFile, 3),
        ("<a><!-- ", TruncatedFile, 3),
        ("", TruncatedFile, 0),
        ("<!DOCTYPE a><a/>", UnsupportedFeature, 0),
        ("<a><![CDATA[x]]></a>", UnsupportedFeature, 3),
        ("<a b='&x;'/>", UnsupportedFeature, 0),
        ("<a b='&#1114112;'/>", UnsupportedFeature, 0),
    ],
)
def test_what_is_broken_is_named_with_its_place(text: str, error: type[InputError], offset: int) -> None:
    """The error says which character."""
    with pytest.raises(error) as caught:
        events(text)
    assert caught.value.info.offset == offset


def test_depth_and_size_are_limited() -> None:
    """Before anything is built."""
    with pytest.raises(LimitExceeded):
        list(tags("<a>" * 60 + "</a>" * 60, max_depth=50))
    with pytest.raises(LimitExceeded):
        document(BytesSource(b"<a/>", Meter(Limits())), max_bytes=3)


@pytest.mark.parametrize(
    "text",
    ["<a " * 300_000, "<a " + "/" * 900_000, "<a b='" + "x" * 900_000, "<a><!--" * 120_000, "<a " + "'\"" * 400_000,
     "<a" + " b='1'" * 150_000 + ">", "<" * 900_000, "<a b='" + "&" * 900_000 + "'/>", "&" * 900_000, " " * 900_000],
    ids=range(10),
)  # fmt: skip
def test_hostile_documents_are_refused_at_once(text: str) -> None:
    """Each takes one pass: a pattern that backtracks would not come back."""
    with pytest.raises(InputError):
        events(text)


def test_the_root_of_a_beginning_is_known() -> None:
    """After declaration and comments; nothing of what is no XML, or hides behind a DOCTYPE."""
    assert root_name(b"\xef\xbb\xbf<?xml version='1.0'?><!-- x --><net name='a'><lay") == "net"
    assert root_name(b"<!DOCTYPE x><net>") is None
    assert root_name(b"GGUF") is None
    assert root_name(b"") is None
