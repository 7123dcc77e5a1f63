"""W7: names from an upload act nowhere. Each view is read by a real parser of its own language, for hostile names."""

from __future__ import annotations

import csv
import functools
import io
import json
import re
import unicodedata
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from service import wire
from service.compare.compare import compare
from service.comparisons import Comparison
from service.config import Limits
from service.enrich.sharing import whole
from service.formats import Upload
from service.presentation import COMPARISON_VIEWS, REPORT_VIEWS, Options, rendered
from service.registry import load_readers
from service.source import BytesSource, Meter
from service.tree import Report
from service.views.escape import json as quiet
from service.worker.reading import read
from tests.attacks.names import FORMATS, NAMES
from tests.builders import report

READERS = load_readers()
VIEWS = {view.name: view for view in REPORT_VIEWS}
COMPARED = {view.name: view for view in COMPARISON_VIEWS}
EACH = pytest.mark.parametrize("name", FORMATS)
ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_PAGE = "html head meta title style body h1 h2 p div table tr th td ul li details summary span b i em code img svg path"
PAGE = frozenset(f"{_PAGE} dl dt dd".split())
_ATTRIBUTES = "lang charset name content class style title src alt open colspan viewbox preserveaspectratio role d"
ATTRIBUTES = frozenset(_ATTRIBUTES.split())
_PICTURE = "svg title desc style defs marker path g rect text"
PICTURE = frozenset(_PICTURE.split())
SPANS = frozenset({"text", "strong_open", "strong_close", "code_inline", "html_inline", "softbreak"})
_BLOCKS = "heading paragraph bullet_list list_item table thead tbody tr th td"
BLOCKS = frozenset(_BLOCKS.split())
_DOT = "digraph model label labelloc t rankdir TB fontname fontsize node shape box style fillcolor edge color subgraph"
DOT = frozenset(f"{_DOT} peripheries dashed".split())


@functools.cache
def answer(name: str) -> Report:
    """The report of one format's file of hostile names."""
    meter = Meter(Limits())
    model = read(Upload({"upload": BytesSource(FORMATS[name](), meter)}, meter), READERS).model
    assert model is not None
    made = report(model)
    return wire.decode_report(wire.encode(made))


@functools.cache
def comparison(name: str) -> Comparison:
    """How it differs from that of another format."""
    other = "keras" if name != "keras" else "onnx"
    return compare(answer(name), answer(other))


@functools.cache
def shown(name: str, view: str, of: str = "report") -> str:
    """One view of it, in its language's letters."""
    if of == "comparison":
        return rendered(comparison(name), COMPARED[view], Options())
    made = answer(name)
    return rendered(type(made)(**{**{key: getattr(made, key) for key in made.__struct_fields__},
                                  "layers": whole(made.layers)}), VIEWS[view], Options())  # fmt: skip


CASES = [(name, of) for name in FORMATS for of in ("report", "comparison")]
BOTH = pytest.mark.parametrize(("name", "of"), CASES)


def views(of: str) -> list[str]:
    """Those of a report or comparison that are no JSON."""
    return [view for view in (VIEWS if of == "report" else COMPARED) if view != "json"]


@BOTH
def test_no_view_holds_a_character_that_acts(name: str, of: str) -> None:
    """W7: no control, format, private or line-separating character in any view, but the ends of its own lines."""
    for view in views(of):
        acting = {one for one in shown(name, view, of) if unicodedata.category(one) in ACTING}
        assert acting <= ({"\n", "\r"} if view == "csv" else {"\n"}), view


@BOTH
def test_json_says_the_names_and_holds_no_character_that_acts(name: str, of: str) -> None:
    """W7: JSON keeps every name as it is, and writes what acts in a terminal as escapes."""
    plain = shown(name, "json", of).encode()
    safe = quiet(plain)
    assert json.loads(safe) == json.loads(plain)
    assert not {one for one in safe.decode() if unicodedata.category(one) in ACTING - {"Cn", "Co"}}
    assert "\\u202e" in safe.decode() or "\u202e" not in json.dumps(json.loads(plain), ensure_ascii=False)


@BOTH
def test_no_cell_is_a_formula(name: str, of: str) -> None:
    """W7: CSV has its columns in every row, and no cell begins a formula, at its start or behind a semicolon."""
    first, *rows = csv.reader(io.StringIO(shown(name, "csv", of), newline=""))
    assert rows
    for row in rows:
        assert len(row) == len(first)
        for begun in (piece.strip(" \t\"'") and piece.lstrip() for cell in row for piece in cell.split(";")):
            assert not re.match(r"[=+\-@＝＋－＠]", begun) or re.fullmatch(r"-?[\d.einf+-]+", begun), row


class _Page(HTMLParser):
    """Elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: set[str] = set()
        self.others: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {key for key, _ in attrs}
        self.addresses |= {(value or "")[:26] for key, value in attrs if key in ("src", "href")}

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def unknown_decl(self, data: str) -> None:
        self.others.append(data)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)


@BOTH
def test_no_element_of_a_page_is_a_name(name: str, of: str) -> None:
    """W7: HTML has only the page's own elements and attributes, no comment, no address but that of its picture."""
    page = _Page()
    page.feed(shown(name, "html", of))
    page.close()
    assert page.tags <= PAGE
    assert page.attributes <= ATTRIBUTES
    assert page.addresses <= {"data:image/svg+xml;base64,"}
    assert page.others == []


@EACH
def test_no_element_of_a_picture_is_a_name(name: str) -> None:
    """W7: SVG is XML without entities, scripts, links and attributes that any name could have brought."""
    drawn = shown(name, "svg")
    assert "<!" not in drawn
    elements = list(ET.fromstring(drawn).iter())  # noqa: S314 - our own, and without a declaration
    assert {element.tag.removeprefix("{http://www.w3.org/2000/svg}") for element in elements} <= PICTURE
    keys = {key for element in elements for key in element.attrib}
    assert not [key for key in keys if key.startswith("on") or "href" in key]


@BOTH
def test_nothing_in_markdown_is_a_name(name: str, of: str) -> None:
    """W7: Markdown holds no link, no picture, no HTML, no address that becomes a link, no mention, and whole tables."""
    source = shown(name, "markdown", of)
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for token in parser.parse(source):
        kind = token.type.removesuffix("_open").removesuffix("_close")
        assert kind in BLOCKS or (kind == "inline" and _is_text(token)) or _folds(kind, token.content), token
    assert not re.search(r"(?<!\\)://|(?<!\\)www\.", source, re.IGNORECASE)
    assert not re.search(r"(?<!`)@\w", source)


def _is_text(token: object) -> bool:
    inner = token.children  # type: ignore[attr-defined]
    html = {one.content for one in inner if one.type == "html_inline"}
    code = {one.content for one in inner if one.type == "code_inline"}
    return {one.type for one in inner} <= SPANS and html <= {"<br>"} and code <= {"@", "#"}


def _folds(kind: str, content: str) -> bool:
    return (
        kind == "html_block"
        and re.fullmatch(r"<details><summary>[\d,]+ \w+</summary>\n*|</details>\n*", content) is not None
    )


@EACH
def test_diagrams_have_their_own_words_only(name: str) -> None:
    """W7: what is not within quotation marks, in DOT and Mermaid, is the diagram's own."""
    graph = re.sub(r'"(?:[^"\\]|\\.)*"', "", shown(name, "dot"))
    words = set(re.findall(r"[A-Za-z]+", re.sub(r"\b(?:b|cluster_)\d+\b", "", graph)))
    assert words <= DOT
    flow = re.sub(r'"[^"]*"', "", shown(name, "mermaid")).splitlines()
    own = r"flowchart TD|%% .*|b\d+\[\](:::\w+)?|subgraph b\d+\[\]|end|b\d+ (-->|-\.->) b\d+|classDef [\w:,# -]+"
    assert [line for line in flow if not re.fullmatch(own, line.strip())] == []
    assert not [line for line in flow if line.strip().startswith("%%{")]


def test_names_reach_the_answers() -> None:
    """The corpus is what it should be: nearly all names stand in the report of a format that takes any."""
    told = {weight.name for layer in whole(answer("onnx").layers) for weight in layer.weights}
    stored = {str(weight.stored_as) for layer in whole(answer("onnx").layers) for weight in layer.weights} | told
    assert sum(any(name[:30] in one for one in stored) for name in NAMES) > 0.9 * len(NAMES)
