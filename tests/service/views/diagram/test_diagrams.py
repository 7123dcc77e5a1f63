"""Diagrams of real models as SVG, DOT and Mermaid: what they show, that they are well formed, that names do no harm."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from service.enrich import totals
from service.enrich.blocks.build import add_blocks
from service.language import Message
from service.tree import Report
from service.views.diagram.boxes import MOST_BLOCKS, MOST_LAYERS, Level
from service.views.diagram.dot import dot
from service.views.diagram.drawing import Spot, draw
from service.views.diagram.mermaid import mermaid
from service.views.diagram.scene import scene
from service.views.diagram.svg import svg
from service.vocabulary import KINDS
from tests.builders import layer, model, report, weight
from tests.service.enrich.blocks.reading import blocks_of
from tests.service.views.diagram.grammars import Dot
from tests.service.views.diagram.grammars import mermaid as read_mermaid

MODELS = [
    ("keras_blocks", "ResNet50.keras"), ("keras_blocks", "transformer.keras"), ("keras_blocks", "InceptionV3.keras"),
    ("torch_blocks", "bert_state.pt"), ("torch_blocks", "resnet.pt2"), ("torch_blocks", "encoder_module.pt"),
    ("keras_files", "seed0.keras"), ("keras_files", "nested_shared_frozen.keras"), ("keras_files", "subclassed.keras"),
]  # fmt: skip
LEVELS: list[Level] = ["block", "layer"]
BOTH = [(corpus, name, level) for corpus, name in MODELS for level in LEVELS]
SVG = "{http://www.w3.org/2000/svg}"
NASTY = (
    '"', "'", "a\nb", "a --> b", "x]", '"]; click b1 "javascript:alert(1)"', "<script>alert(1)</script>", "]]>",
    "&amp;",
    "end", "%%{init: {}}%%", "\\N\\l", '\\"', "\x00\x1b[31m", "\u202egnp.exe", "\ud800", "#quot;", "`md`", "1. list",
    "<br/>", "层归一化", "a" * 5000, "", " ", "subgraph", "graph", ";", "{}", "b1", "-->", "\ufffe",
)  # fmt: skip


def of(corpus: str, name: str) -> Report:
    return report(blocks_of(corpus, name))


def parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314 - our own answer


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in parsed(picture).iter(f"{SVG}text")]


def built(*layers: Any, framework: str = "keras") -> Report:
    return report(totals.add_totals(add_blocks(model(framework, *layers))))


@pytest.mark.parametrize(("corpus", "name", "level"), BOTH)
def test_svg_is_one_harmless_document(corpus: str, name: str, level: Level) -> None:
    """Well-formed, with title and description, made of shapes and text only, with nothing to fetch or run."""
    picture = svg(of(corpus, name), str, level)
    root = parsed(picture)
    found = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert found <= {"svg", "title", "desc", "style", "defs", "marker", "path", "g", "rect", "text"}
    assert {"title", "desc"} <= {child.tag.removeprefix(SVG) for child in root}
    used = {attribute for element in root.iter() for attribute in element.attrib}
    assert not [one for one in used if one.startswith("on") or "href" in one]
    assert "url(" not in picture.replace("url(#diagram-to)", "")
    assert "prefers-color-scheme:dark" in picture
    rules = (root.findtext(f"{SVG}style") or "").replace("@media (prefers-color-scheme:dark){", "")
    selectors = [one for rule in re.findall(r"([^{}]+)\{", rules) for one in rule.split(",")]
    assert {one.strip().split()[0] for one in selectors} == {".diagram"}


@pytest.mark.parametrize(("corpus", "name", "level"), BOTH)
def test_boxes_lie_apart_and_within_the_picture(corpus: str, name: str, level: Level) -> None:
    """No two boxes overlap, none lies outside its frame or the picture, and lines of known edges lead downwards."""
    drawing = draw(scene(of(corpus, name), level), str)
    spots = sorted(drawing.leaves, key=lambda spot: spot.y)
    for index, one in enumerate(spots):
        assert min(one.x, one.y) >= 0
        assert one.x + one.width <= drawing.width + 1
        assert one.y + one.height <= drawing.height + 1
        for other in spots[index + 1 :]:
            if other.y >= one.y + one.height:
                break
            assert one.x + one.width <= other.x or other.x + other.width <= one.x
    inside = {spot.box.id: spot for spot in [*drawing.frames, *drawing.leaves]}
    for frame in drawing.frames:
        assert all(_holds(frame, inside[box.id]) for box in frame.box.boxes)


def _holds(frame: Spot, inner: Spot) -> bool:
    across = frame.x <= inner.x and inner.x + inner.width <= frame.x + frame.width
    return across and frame.y <= inner.y and inner.y + inner.height <= frame.y + frame.height


@pytest.mark.parametrize(("corpus", "name", "level"), BOTH)
def test_dot_is_in_its_grammar(corpus: str, name: str, level: Level) -> None:
    """Every statement parses, and edges lead between boxes that are there."""
    found = Dot(dot(of(corpus, name), str, level))
    boxes = {box for box in found.labels if re.fullmatch(r"b\d+", box)}
    assert {end for edge in found.edges for end in edge} <= boxes
    assert found.edges


@pytest.mark.parametrize(("corpus", "name", "level"), BOTH)
def test_mermaid_is_in_its_grammar(corpus: str, name: str, level: Level) -> None:
    """Every line has one of the known forms, within the sizes that Mermaid takes as it comes."""
    text = mermaid(of(corpus, name), str, level)
    labels, edges = read_mermaid(text)
    assert {end for edge in edges for end in edge} <= labels.keys()
    assert len(text) < 50_000
    assert len(edges) < 500


def test_resnet50_by_blocks() -> None:
    """Four stages with the block that stands apart and the equal ones as one box with their number."""
    shown = texts(svg(of("keras_blocks", "ResNet50.keras"), str))
    for text in ("conv3_block1", "conv3_block{2..4}", "× 3", "× 5", "Residual block: 3 × Conv2D", "conv5"):
        assert text in shown
    assert "847,104 parameters · (None, 28, 28, 512)" in shown
    assert len(scene(of("keras_blocks", "ResNet50.keras"), "block").boxes) == 9


def test_resnet50_by_layers() -> None:
    """All 177 layers and every connection of the file, none of them guessed."""
    given = of("keras_blocks", "ResNet50.keras")
    shown = scene(given, "layer")
    names = {box.id: box.path for box in shown.boxes}
    wanted = {(source, one.path) for one in given.layers for source in one.inputs or ()}
    assert sorted(names.values()) == sorted(one.path for one in given.layers)
    assert {(names[source], names[target]) for source, target in shown.wiring.pairs} == wanted
    assert all(shown.wiring.pairs.values())
    assert shown.notes == ()


def test_a_transformer_by_blocks_shows_one_of_twelve_layers() -> None:
    """The repeat is a frame with its number; inside, the path around attention joins it at the sum."""
    labels, edges = read_mermaid(mermaid(of("keras_blocks", "transformer.keras"), str))
    by_name = {label.split("<br/>")[0]: number for number, label in labels.items()}
    assert any(label.endswith("× 12") for label in labels.values())
    assert (by_name["embedding"], by_name["add"]) in edges
    assert (by_name["multi_head_attention"], by_name["add"]) in edges
    assert (by_name["add_1"], by_name["layer_normalization_24"]) in edges


def test_without_a_graph_lines_are_dashed_and_it_says_so() -> None:
    """Modules of a pickle follow one another as declared, and nobody takes that for the graph."""
    given = of("torch_blocks", "encoder_module.pt")
    picture = svg(given, str)
    lines = re.findall(r'<path class="e( g)?"', picture)
    assert lines
    assert all(guessed for guessed in lines)
    assert any(text.startswith("Dashed lines follow the order") for text in texts(picture))
    assert "-.->" in mermaid(given, str)
    assert "style=dashed" in dot(given, str)


@pytest.mark.parametrize(("corpus", "name"), MODELS)
def test_block_level_is_readable(corpus: str, name: str) -> None:
    """No more boxes than fit a screen or two."""
    assert len(draw(scene(of(corpus, name), "block"), str).leaves) <= MOST_BLOCKS


def test_too_many_layers_fold() -> None:
    """Above the limit what repeats is shown once, and the picture says so."""
    layers = [
        layer(f"layer_{at}", "linear", weight("kernel", (3, 3)), inputs=(f"layer_{at - 1}",) if at else ())
        for at in range(MOST_LAYERS + 1)
    ]
    drawing = scene(built(*layers), "layer")
    assert sum(box.times for box in drawing.boxes) == MOST_LAYERS + 1
    assert str(drawing.notes[0]) == "401 layers are more than one picture holds: what repeats is shown once."


def test_too_many_distinct_layers_are_shown_by_blocks() -> None:
    """Where nothing repeats, blocks are shown instead of a thousand boxes."""
    layers = [
        layer(f"layer_{at}", "linear", weight("kernel", (at + 1, 3)), inputs=(f"layer_{at - 1}",) if at else ())
        for at in range(1000)
    ]
    drawing = scene(built(*layers), "layer")
    assert len(drawing.boxes) <= MOST_BLOCKS
    assert str(drawing.notes[0]) == "1,000 layers are more than one picture holds: blocks are shown instead."


def hostile() -> Report:
    layers = [
        layer(
            f"{at}{text}",
            sorted(KINDS)[at % len(KINDS)],
            weight("kernel", (at + 1,)),
            type=text or None,
            inputs=(f"{at - 1}{NASTY[at - 1]}",) if at else (),
            output_shapes=((None, at),),
        )
        for at, text in enumerate(NASTY)
    ]
    made = totals.add_totals(add_blocks(model("keras", *layers)))
    return report(made)


@pytest.mark.parametrize("level", LEVELS)
def test_hostile_names_stay_names(level: Level) -> None:
    """Quotes, markup, directives and control characters stay within labels, visible and dead."""
    given = hostile()
    root = parsed(svg(given, str, level))
    assert not [element for element in root.iter() if element.tag.removeprefix(SVG) in ("script", "a", "image")]
    assert any("<script>alert(1)</script>" in (element.text or "") for element in root.iter(f"{SVG}text"))
    shown = scene(given, level)
    boxes = {str(leaf.box.id) for leaf in draw(shown, str).leaves}
    assert level == "block" or len(boxes) == len(NASTY)
    graph, (labels, edges) = Dot(dot(given, str, level)), read_mermaid(mermaid(given, str, level))
    assert {one[1:] for one in graph.labels if one.startswith("b")} == boxes
    assert len(graph.edges) == len(edges) == len(shown.wiring.pairs)
    assert boxes <= labels.keys()
    for text in (svg(given, str, level), dot(given, str, level), mermaid(given, str, level)):
        assert text.encode()
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]", text)


def test_words_are_said_in_the_readers_language() -> None:
    """Every sentence and word comes through the speaker; names and shapes do not."""
    said: list[Message] = []

    def say(message: Message) -> str:
        said.append(message)
        return f"§{message}"

    given = of("keras_files", "seed0.keras")
    shown = texts(svg(given, say))
    assert "dense" in shown
    assert any(text.startswith("§Linear + BatchNorm") for text in shown)
    assert "§fully connected" in shown
    assert any(text.startswith("§576,000 parameters") for text in shown)
    assert any("in 3 boxes" in str(message) for message in said)


def test_a_report_from_before_there_were_blocks() -> None:
    """Blocks are found when the picture is asked for."""
    made = blocks_of("keras_files", "seed0.keras")
    old = report(made)
    bare = type(old)(**{**{name: getattr(old, name) for name in old.__struct_fields__}, "blocks": ()})
    assert svg(bare, str) == svg(old, str)


def test_a_tall_picture_is_broken_into_columns() -> None:
    """A chain of two hundred layers is not much higher than wide; each connection still leads from box to box."""
    layers = [
        layer(f"n{at}", "linear", weight("kernel", (at + 1, 3)), inputs=(f"n{at - 1}",) if at else ())
        for at in range(200)
    ]
    drawing = draw(scene(built(*layers), "layer"), str)
    assert drawing.height < 3 * drawing.width
    spots = {spot.box.id: spot for spot in drawing.leaves}
    for edge, points in drawing.lines:
        source, target = spots[edge.source], spots[edge.target]
        assert points[0] == pytest.approx((source.x + source.width / 2, source.y + source.height))
        assert points[-1] == pytest.approx((target.x + target.width / 2, target.y))


def test_graphs_that_no_file_should_hold() -> None:
    """Loops, cycles, unknown sources, doubled edges, and no layers at all."""
    loops = built(
        layer("a", "linear", inputs=("a", "b", "b", "nowhere")),
        layer("b", "linear", inputs=("a",)),
        layer("c", "merge", inputs=("a", "b", "c", "d")),
        layer("d", "linear", inputs=("c",)),
    )
    for given in (loops, built()):
        for level in LEVELS:
            assert parsed(svg(given, str, level)) is not None
            Dot(dot(given, str, level))
            read_mermaid(mermaid(given, str, level))


def test_edges_are_bounded() -> None:
    """A graph in which all feed all is cut, and says so."""
    layers = [layer(f"n{at}", "merge", inputs=tuple(f"n{one}" for one in range(at))) for at in range(120)]
    shown = scene(built(*layers), "layer")
    assert len(shown.wiring.pairs) == 2000
    assert any("left out" in str(note) for note in shown.notes)


def test_columns_keep_the_order_of_reading() -> None:
    """Within a chain each box is below the one before it, or in a column to its right."""
    layers = [
        layer(f"n{at}", "linear", weight("kernel", (at + 1, 3)), inputs=(f"n{at - 1}",) if at else ())
        for at in range(150)
    ]
    drawing = draw(scene(built(*layers), "layer"), str)
    spots = sorted(drawing.leaves, key=lambda spot: spot.box.id)
    for before, after in pairwise(spots):
        assert after.y > before.y or after.x > before.x
