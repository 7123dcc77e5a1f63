"""The page of a report: it stands alone, runs nothing, is well-formed, bounded, and says what the report says."""

from __future__ import annotations

import base64
import re
from collections import Counter
from html.parser import HTMLParser

import msgspec
import numpy as np
import pytest

from service.enrich.cost.add import recost
from service.enrich.pipeline import enrich
from service.language import msg, verbatim
from service.measured import WeightStatistics
from service.translation import LANGUAGES, speaker
from service.tree import Danger, Finding, Layer, Model, Report, Weight
from service.values.channels import channels_of
from service.values.elements import element_of
from service.values.measure import measure
from service.values.statistics import accumulator
from service.views import html
from service.web.answers import POLICIES
from tests.builders import layer, model, report, weight
from tests.corpus import corpus_dir
from tests.service.values.opened import read, upload

SAY = speaker("en")
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}\x1b[31m\r\n\u202e</style>"
VOID = {"meta", "img", "br"}
SELF_CLOSED = {"path"}


class Page(HTMLParser):
    """What a page is made of; an unbalanced tag is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.nesting = 0
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes.extend((tag, name, value or "") for name, value in attrs)
        if tag not in VOID:
            self.open.append(tag)
            self.nesting = max(self.nesting, self.open.count("details"))

    def handle_startendtag(self, tag, attrs):
        assert tag in SELF_CLOSED
        self.tags[tag] += 1
        self.attributes.extend((tag, name, value or "") for name, value in attrs)

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    def says(self, text: str) -> bool:
        """Whether a reader finds the text on it."""
        return text in " ".join(" ".join(self.texts).split())

    def all(self, tag: str, name: str) -> list[str]:
        """The values of an attribute."""
        return [value for found, key, value in self.attributes if (found, key) == (tag, name)]


def seen(values: list[float], dtype: str = "float32") -> WeightStatistics:
    """Statistics as they are measured."""
    element = element_of(dtype)
    assert element is not None
    found = accumulator(element, channels_of(None, (len(values),)))
    if values:
        found.add(np.array(values, element.code))
    return found.result()


def small(*layers: Layer, framework: str = "keras", **more) -> Report:
    """An enriched report of a few layers."""
    return report(enrich(model(framework, *layers, **more)))


def dense(path: str = "dense", **more) -> Layer:
    """A Dense layer whose kernel was measured."""
    kernel = weight("kernel", (4,), "kernel", statistics=seen([-0.75, 0.0, 0.25, float("nan")]))
    return layer(path, "linear", kernel, type="Dense", **more)


@pytest.fixture(scope="module")
def trained() -> Report:
    """A file of Keras, measured."""
    given = upload(corpus_dir("keras_files") / "trained.keras")
    return report(enrich(measure(given, read(given), lambda _done, _total: None)))


def test_a_report_is_a_well_formed_page(trained: Report) -> None:
    """One document with a title, tags balanced."""
    text = html.render(trained, SAY)
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert [page.tags[tag] for tag in ("html", "head", "body", "title", "h1")] == [1, 1, 1, 1 + page.tags["svg"], 1]
    assert page.tags["details"] == len(trained.layers) + 3 + len(trained.cost.memory)


def test_nothing_comes_from_elsewhere_and_nothing_runs(trained: Report) -> None:
    """No script, no link, no frame, no event; images are data, style is inline: what the policy of pages allows."""
    policy = [part.strip() for part in POLICIES["text/html"].split(";")]
    assert {"default-src 'none'", "style-src 'unsafe-inline'", "img-src data:"} < set(policy)
    for shown in (trained, small(dense(), layer(HOSTILE, "custom", type=HOSTILE))):
        text = html.render(shown, SAY)
        page = Page(text)
        assert (
            not {"script", "link", "iframe", "object", "embed", "base", "form", "a", "use", "image"} & page.tags.keys()
        )
        assert all(value.startswith("data:image/svg+xml;base64,") for value in page.all("img", "src"))
        named = {name for _, name, _ in page.attributes}
        assert not {"href", "xlink:href", "action", "srcset", "background"} & named
        assert not any(name.startswith("on") for name in named)
        assert "url(" not in text
        assert "@import" not in text


def test_the_diagram_within_runs_nothing() -> None:
    """The picture in the page is an SVG without a script, and hostile names are text in it."""
    page = Page(html.render(small(dense(HOSTILE)), SAY))
    drawn = base64.b64decode(page.all("img", "src")[0].partition(",")[2]).decode()
    assert drawn.startswith("<svg")
    assert "<script" not in drawn
    assert "&lt;script" in drawn


def hostile() -> Report:
    """Names, types, roles, sentences, kinds of all sorts, each as bad as can be."""
    tied = weight(HOSTILE, (2,), tied_to=HOSTILE, dtype=HOSTILE, stored_as=HOSTILE)
    unread = weight("w", (2,), statistics=WeightStatistics(status="unavailable", reason=msg("{x}", x=HOSTILE)))
    made = small(
        layer(HOSTILE, "custom", tied, unread, type=HOSTILE, notes=(verbatim(HOSTILE),)),
        layer("again", "custom", type=HOSTILE, shared_with=HOSTILE),
        framework="torch",
        security=(Danger(code="x", severity="high", what=verbatim(HOSTILE), path=HOSTILE, detail=HOSTILE),),
        notes=(verbatim(HOSTILE),),
    )
    finding = Finding(rule=HOSTILE, severity="low", what=verbatim(HOSTILE), why=verbatim(HOSTILE), path="elsewhere")
    info = msgspec.structs.replace(made.model, name=HOSTILE, framework_version=HOSTILE)
    return msgspec.structs.replace(made, findings=(finding,) * 7, model=info)


@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_names_are_text(language: str) -> None:
    """Whatever a file calls things is shown as it is written, with control characters visible."""
    text = html.render(hostile(), speaker(language))
    page = Page(text)
    assert not {"script"} & page.tags.keys()
    assert page.tags["img"] == 1
    assert page.tags["style"] == 1
    assert not any(name.startswith("on") for _, name, _ in page.attributes)
    assert not {"\x1b", "\r", "\u202e"} & set(text)
    assert page.says("<script>alert(1)</script>")
    assert page.says("{{ 7 * 7 }}\\x1b[31m")
    assert page.says("elsewhere")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language(language: str, trained: Report) -> None:
    """The page says which language it is in, and is in it."""
    say = speaker(language)
    text = html.render(trained, say)
    assert Page(text).all("html", "lang") == [say(msg("en"))]
    assert f"<h2>{say(msg('Layers'))}</h2>" in text


def nested(depth: int) -> Model:
    """A chain of containers, each within the one before."""
    paths = ["/".join(f"m{step}" for step in range(level + 1)) for level in range(depth)]
    return model(
        "keras",
        *(layer(path, "model", parent=paths[level - 1] if level else None) for level, path in enumerate(paths)),
    )


@pytest.mark.parametrize("depth", [2, 29, 30, 31, 60, 400])
def test_deep_models_nest_no_further_than_browsers_like(depth: int) -> None:
    """Every layer is on the page; the tree is at most `MAX_DEPTH` deep beside the page's own."""
    text = html.render(report(enrich(nested(depth))), SAY)
    page = Page(text)
    assert page.tags["summary"] - _numbers(text) == depth
    assert page.nesting == min(depth, html.MAX_DEPTH + 1)


def _numbers(text: str) -> int:
    return text.partition('class="layers"')[0].count("<summary>")


def test_children_stand_within_their_parents() -> None:
    """Also where a layer comes between; a parent that is not there, or circles, lose no layer."""
    shown = small(
        layer("a", "model"),
        layer("b", "linear"),
        layer("a/c", "linear", parent="a"),
        layer("d", "linear", parent="nowhere"),
        layer("e", "linear", parent="e"),
    )
    text = html.render(shown, SAY).partition('class="layers"')[2]
    assert re.findall(r"<b>(.*?)</b>", text) == ["a", "c", "b", "d", "e"]
    assert [text.count(tag) for tag in ("<ul>", "</ul>")] == [2, 2]
    assert text.count("<summary>") == 5


def test_large_models_are_cut_and_it_is_said() -> None:
    """Of 5,000 layers the first 2,000 are on the page, and how many are not; the size is bounded."""
    kernel = weight("kernel", (4,), "kernel", statistics=seen([1.0, 2.0, 3.0, -1.5]))
    many = tuple(layer(f"dense_{index}", "linear", kernel, type="Dense") for index in range(5000))
    text = html.render(small(*many), SAY)
    page = Page(text)
    assert text.partition('class="layers"')[2].count("<summary>") == html.MAX_LAYERS == 2000
    assert page.says("3,000 more layers are not shown on this page")
    assert len(text) < 6_000_000


def test_a_layer_of_many_weights_is_cut() -> None:
    """The first hundred weights of a layer are on the page, and how many are not."""
    weights = (weight(f"w{index}", (2,)) for index in range(250))
    page = Page(html.render(small(layer("all", "custom", *weights)), SAY))
    assert page.says("w99")
    assert not page.says("w100")
    assert page.says("150 more weights are not shown on this page")


def test_values_are_shown_where_they_were_measured(trained: Report) -> None:
    """Least, largest, mean, spread, zeros and NaN of each weight, and its histogram; nothing of it otherwise."""
    page = Page(html.render(small(dense()), SAY))
    assert page.says("Min Max Mean Std Zeros NaN ±∞ Histogram")
    assert page.says("kernel -0.75 0.25 -0.1667 0.4249 1 1 0")
    assert page.tags["svg"] == 1
    assert page.says("Histogram of the values other than 0, from -1 to 1")
    held = [one.statistics for found in trained.layers for one in found.weights]
    drawn = sum(one is not None and one.histogram is not None for one in held)
    assert Page(html.render(trained, SAY)).tags["svg"] == drawn > 2
    plain = html.render(small(layer("dense", "linear", weight("kernel", (4,), "kernel"))), SAY)
    assert "Histogram" not in plain
    assert "<svg" not in plain


def test_values_that_could_not_be_read_say_why() -> None:
    """The reason stands in place of the figures."""
    unread = weight("w", (2,), statistics=WeightStatistics(status="unavailable", reason=msg("Its shape is not known.")))
    page = Page(html.render(small(layer("one", "custom", unread)), SAY))
    assert page.says("Its shape is not known.")
    assert page.all("td", "colspan") == ["8"]


def chain() -> Report:
    """Two convolutions whose sizes are known."""
    first = layer("c1", "conv2d", weight("kernel", (3, 3, 3, 8), "kernel", layout="HWIO"), type="Conv2D",
                  config={"filters": 8, "kernel_size": [3, 3], "strides": [2, 2], "padding": "same"},
                  inputs=(), input_shapes=((None, 32, 32, 3),), output_shapes=((None, 16, 16, 8),))  # fmt: skip
    return small(first)


def test_layers_tell_shapes_and_costs() -> None:
    """Shapes in and out, MACs, FLOPs, activations, receptive field and stride."""
    shown = chain()
    page = Page(html.render(shown, SAY))
    assert shown.layers[0].cost.macs.value == 16 * 16 * 8 * 27 == 55_296
    assert page.says("Input shape (None, 32, 32, 3) Output shape (None, 16, 16, 8) MACs 55,296 FLOPs 110,592")
    assert page.says("Receptive field 3 × 3 Stride 2 × 2")


def test_totals_tell_their_parts_and_what_they_stand_on() -> None:
    """Memory is the sum of the parts that are shown; how many examples a number is for is in its label."""
    shown = recost(chain(), 4, None)
    page = Page(html.render(shown, SAY))
    assert page.says("MACs (batch of 4)")
    assert page.says("optimizer slots")
    assert page.says("One gradient per trained parameter, of its own type.")
    for memory in shown.cost.memory:
        assert page.says(str(memory.title))
        assert memory.bytes.value == sum(memory.parts.values())


def test_partial_numbers_say_why() -> None:
    """A state_dict: each number that is partial is marked, and there is a section with the reasons."""
    given = upload(corpus_dir("torch_files") / "net_state.pt")
    shown = report(enrich(read(given)))
    page = Page(html.render(shown, SAY))
    assert shown.cost.macs.status == "partial"
    assert page.says(f"{shown.cost.macs.value:,} (partial)")
    assert page.says("Why numbers are partial")
    for reason in shown.cost.macs.assumptions:
        assert page.says(str(reason))
    assert not Page(html.render(chain(), SAY)).says("Why numbers are partial")


def test_findings_name_their_place_once() -> None:
    """A sentence that names the layer is not preceded by the layer's path."""
    made = small(layer("conv1", "conv2d"))
    for what, shown in (("conv1 is dead.", False), ("conv10 and x.conv1 are fine.", True), ("A layer is dead.", True)):
        finding = Finding(rule="dead", severity="high", what=verbatim(what), path="conv1")
        page = Page(html.render(msgspec.structs.replace(made, findings=(finding,)), SAY))
        assert (page.tags["code"] == 1) == shown, what
        assert page.says("high")


def test_a_weight_of_any_statistics_is_drawn() -> None:
    """Constant, empty, infinite and denormal values give a page as well."""
    for values in ([], [0.0], [np.inf, -np.inf], [np.nan], [1e-45, 0.0], [3e38, -3e38], [5.0] * 9):
        one: Weight = weight("w", (len(values),), statistics=seen(values))
        Page(html.render(small(layer("one", "custom", one)), SAY))
