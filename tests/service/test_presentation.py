"""From a stored report to what is shown: the same JSON however it is made, in any language, with any rules."""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec
import pytest

from service import presentation
from service.basis import Frozen
from service.decoding import Layers
from service.enrich import pipeline
from service.enrich.cost.add import recost
from service.errors import OutdatedReport
from service.jobs import catalogue, reports
from service.jobs.records import StoredReport
from service.language import Message, msg
from service.presentation import (
    COMPARISON_VIEWS,
    JSON,
    LAYERS_AT_ONCE,
    REPORT_VIEWS,
    Options,
    Presenter,
    Rules,
    find,
    paths,
    tag,
)
from service.translation import encoder
from service.tree import Block, Finding, Report, RuleRun
from service.wire import layer_encoder
from tests import builders, fakes
from tests.service.bodies import taken

HOSTILE = 'x"<script>alert(1)</script>\u202e\x1b[31m"layers":[]{"id":"{a}"}'


def stored(value: Frozen | dict, *, lines: bool = False) -> StoredReport:
    """As the catalogue stores it; `lines`: as one whose layers came through the pipe."""
    if isinstance(value, Report) and lines:
        pieces = [layer_encoder()(value.layers[at : at + 3]) for at in range(0, len(value.layers), 3)]
        value = msgspec.structs.replace(value, layers=Layers(pieces))
    text = reports.encode(value) if isinstance(value, Report) else [encoded(value)]
    return _stored(text)


def _stored(text: Iterable[bytes]) -> StoredReport:
    packed = catalogue.pack(text)
    return StoredReport(body=packed["body"], size=packed["size"], etag=packed["etag"])


def encoded(value) -> bytes:
    return msgspec.json.encode(value)


def report(count: int = 3, **more) -> Report:
    layers = [
        builders.layer(
            f"block/{number}",
            "linear",
            builders.weight("kernel", (3, 4), "kernel"),
            type="Dense",
            notes=(msg("A note."),),
        )
        for number in range(count)
    ]
    made = pipeline.enrich(builders.model("keras", *layers))
    return msgspec.structs.replace(builders.report(made), **more)


def view(name):
    return next(view for view in REPORT_VIEWS if view.name == name)


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("count", [0, 1, LAYERS_AT_ONCE - 1, LAYERS_AT_ONCE, LAYERS_AT_ONCE + 1, 5 * LAYERS_AT_ONCE])
def test_json_in_pieces_is_the_json_of_the_whole(count, lines):
    """A report is never in memory as a whole, and nobody can tell."""
    made = report(count)
    assert taken(Presenter().report(stored(made, lines=lines), JSON, Options())) == encoder("en").encode(made)


PASSED = {
    "bare": {},
    "noted": {"notes": (msg("A note."), msg("{n} of {all}.", n=1, all=(msg("a"), "b")))},
    "named": {"name": ',"notes":[{"id":"x"}]}', "path": '{"id":', "parent": "\\"},
    "configured": {"config": {"notes": [{"id": "no message"}], "x": {"id": "x", "args": {}}}},
    "placed": {"notes": (msg("Of {notes}.", notes="x"),), "config": {"a": 1, "notes": []}},
}


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("language", ["en", "zh-Hans"])
@pytest.mark.parametrize("name", PASSED)
def test_layers_without_further_sentences_are_passed_on_as_they_would_be_encoded(name, language, lines):
    """Byte by byte, whatever stands in their names and settings; `like` layers of very large models are such."""
    layers = tuple(
        msgspec.structs.replace(layer, explanation=None, cost=None, **{"like": "block/0", **PASSED[name]})
        for layer in report(LAYERS_AT_ONCE + 3).layers
    )
    made = report(layers=layers)
    shown = taken(Presenter().report(stored(made, lines=lines), JSON, Options(language=language)))
    assert shown == encoder(language).encode(made)


def test_fields_that_an_older_report_lacks_are_shown_as_their_defaults():
    """Only what this version wrote is passed on as it is."""
    kept = msgspec.json.decode(b"".join(reports.encode(report(2))))
    for layer in kept["layers"]:
        layer["explanation"] = layer["cost"] = None
        del layer["like"]
    shown = json.loads(taken(Presenter().report(stored({**kept, "schema_version": "1.1"}), JSON, Options())))
    assert [layer["like"] for layer in shown["layers"]] == [None, None]


def test_names_that_look_like_json_change_nothing():
    """Wherever an upload may write a text."""
    made = report()
    info = msgspec.structs.replace(made.model, name=HOSTILE, tags={"layers": [], HOSTILE: {"id": HOSTILE}})
    layer = msgspec.structs.replace(made.layers[0], path=HOSTILE, config={"id": "x", "args": {"id": HOSTILE}})
    made = msgspec.structs.replace(made, model=info, layers=(layer,))
    shown = json.loads(taken(Presenter().report(stored(made), JSON, Options())))
    assert shown["model"]["name"] == HOSTILE
    assert shown["model"]["tags"] == {"layers": [], HOSTILE: {"id": HOSTILE}}
    assert shown["layers"][0]["config"] == {"id": "x", "args": {"id": HOSTILE}}


@pytest.mark.parametrize("view_", REPORT_VIEWS, ids=lambda view: view.name)
def test_views_are_the_same_of_layers_in_lines(view_):
    """And so is one layer of them."""
    made = report(LAYERS_AT_ONCE + 1)
    one, other = (taken(Presenter().report(stored(made, lines=lines), view_, Options())) for lines in (False, True))
    assert one == other
    assert find(stored(made, lines=True), "block/7", Options()) == find(stored(made), "block/7", Options())
    assert paths(stored(made, lines=True)) == paths(stored(made))


@pytest.mark.parametrize("name", [view.name for view in REPORT_VIEWS])
def test_every_view_is_made_of_hostile_names(name):
    """Text in UTF-8 for each of them, and no script in what a browser shows."""
    made = report()
    layers = tuple(msgspec.structs.replace(layer, name=HOSTILE, type=HOSTILE) for layer in made.layers)
    shown = taken(Presenter().report(stored(msgspec.structs.replace(made, layers=layers)), view(name), Options()))
    assert shown.decode("utf-8")
    if name in ("html", "svg", "markdown"):
        assert b"<script>alert" not in shown


def test_an_answer_is_made_once_for_each_way_of_asking(monkeypatch):
    """The same bytes again cost nothing; another language, batch or level is another answer."""
    presenter, kept = Presenter(), stored(report())
    made = []
    text = msgspec.structs.replace(view("text"), render=lambda *_: made.append(1) or "x")
    for options in (Options(), Options(), Options(batch=2), Options(level="layer"), Options(batch=2)):
        presenter.report(kept, text, options)
    assert len(made) == 3


RULED = {
    "findings": tuple(Finding(rule=rule, severity="info", what=msg("It.")) for rule in ("a", "b", "b", "not_a_rule")),
    "rules": (RuleRun(rule="a", ran=True), RuleRun(rule="b", ran=True)),
}


@pytest.mark.parametrize(
    ("rules", "found", "ran"),
    [
        (None, ["a", "b", "b", "not_a_rule"], [True, True]),
        (Rules(names=frozenset("a")), ["a"], [True, False]),
        (Rules(names=frozenset("a"), excluded=True), ["b", "b", "not_a_rule"], [False, True]),
        (Rules(names=frozenset()), [], [False, False]),
    ],
)
@pytest.mark.parametrize("batch", [None, 2])
def test_rules_choose_the_findings_and_say_which_were_left_out(rules, found, ran, batch):
    """The same whether the report is decoded as a whole or not."""
    shown = json.loads(taken(Presenter().report(stored(report(**RULED)), JSON, Options(rules=rules, batch=batch))))
    assert [finding["rule"] for finding in shown["findings"]] == found
    assert [run["ran"] for run in shown["rules"]] == ran
    assert all(run["ran"] or "?rules=" in run["reason"] for run in shown["rules"])


def test_costs_are_worked_out_for_another_batch():
    """Twice the examples, twice the work; the stored report is not touched."""
    kept = stored(report())
    one, two = (
        json.loads(taken(Presenter().report(kept, JSON, Options(batch=batch, input_shapes=((3,),)))))["cost"]
        for batch in (1, 2)
    )
    assert (one["batch"], two["batch"]) == (1, 2)
    assert one["input_shapes"] == [[3]]


def test_a_layer_is_found_by_its_path():
    """With or without slashes around it; LookupError for one that does not exist."""
    kept = stored(report(100))
    assert paths(kept) == [f"block/{number}" for number in range(100)]
    for path in ("block/70", "/block/70", "block/70/"):
        for options in (Options(), Options(batch=3)):
            assert find(kept, path, options).layer.path == "block/70"
    with pytest.raises(LookupError):
        find(kept, "block/100", Options())


def test_a_path_that_itself_begins_with_a_slash_wins():
    """Names are free text."""
    made = report(2)
    first = msgspec.structs.replace(made.layers[0], path="/block/1/")
    kept = stored(msgspec.structs.replace(made, layers=(first, made.layers[1])))
    assert find(kept, "/block/1/", Options()).layer.path == "/block/1/"
    assert find(kept, "/block/1", Options()).layer.path == "block/1"


def test_a_layer_comes_with_its_findings_kind_and_blocks():
    """Those of its own path, and the blocks around it from the outside in."""
    inner = Block(name="group", kind="group", title=msg("Group"), layers=("block/1", "block/2"))
    outer = Block(name="stage", kind="stage", title=msg("Stage"), layers=("block/1",), blocks=(inner,))
    findings = tuple(Finding(rule="a", severity="info", what=msg("It."), path=f"block/{number}") for number in (1, 2))
    shown = find(stored(report(blocks=(outer,), findings=findings)), "block/1", Options())
    assert (shown.block, shown.blocks) == ("group", ("stage", "group"))
    assert [finding.path for finding in shown.findings] == ["block/1"]
    assert shown.kind is not None
    assert find(stored(report()), "block/1", Options()).block is None


def test_a_layer_of_a_folded_repeat_is_held_by_its_occurrence():
    """Only the first occurrence is spelled out in the report."""
    repeat = Block(
        name="block", kind="repeat", title=msg("Repeat"), layers=("block.0.a",), repeats=2,
        occurrences=("block.0", "block.1"),
    )  # fmt: skip
    layers = tuple(builders.layer(path, "linear") for path in ("block.0.a", "block.1.a", "block.10.a"))
    kept = stored(report(blocks=(repeat,), layers=layers))
    assert find(kept, "block.0.a", Options()).blocks == ("block",)
    assert find(kept, "block.1.a", Options()).blocks == ("block", "block.1")
    assert find(kept, "block.10.a", Options()).blocks == ()


ODD = {
    "circle": [builders.layer("a", "linear", parent="b"), builders.layer("b", "linear", parent="a", inputs=("b", "a"))],
    "sizes": [
        builders.layer(
            "a", "conv2d", builders.weight("kernel", (2**80, 0, -5), "kernel", count=2**200), type="Conv2D",
            config={"filters": 2**70, "kernel_size": [True, -1, "x", None, {}], "strides": 0, "units": -3},
            input_shapes=((None, 2**90, -1), ()), output_shapes=((), (None,) * 500), uses=-5,
        ),
    ],
    "names": [
        builders.layer("", "linear", shared_with="nobody"),
        builders.layer("\x00\n\u202e", "no_such_kind", type="", inputs=("nobody", "", "")),
        builders.layer("x" * 5000, "linear", inputs=("x" * 5000,)),
    ],
    "twins": [builders.layer("a", "linear"), builders.layer("a", "linear", shared_with="a")],
    "deep": [
        builders.layer(".".join("a" * (depth + 1)), "model", parent=".".join("a" * depth) or None)
        for depth in range(150)
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", [view.name for view in REPORT_VIEWS])
@pytest.mark.parametrize("odd", ODD)
def test_no_view_breaks_on_odd_values(odd, name):
    """Whatever a reader may have let through, at any batch and level, and layer by layer."""
    kept = stored(report(layers=tuple(ODD[odd])))
    for options in (Options(level="layer"), Options(batch=2**20, input_shapes=((2**31 - 1,) * 8,))):
        assert isinstance(taken(Presenter().report(kept, view(name), options)), bytes)
        assert find(kept, ODD[odd][-1].path, options).layer.path == ODD[odd][-1].path


@pytest.mark.parametrize("name", ["json", "text"])
def test_a_report_of_another_version_is_said_to_be_one(name):
    """Never an internal error: a field too many, one too few, an odd value in a layer."""
    good = msgspec.json.decode(b"".join(reports.encode(report())))
    odd = {**good, "layers": [{**good["layers"][0], "path": 3}]}
    for bad in ({**good, "more": 1}, {"schema_version": "1.0"}, odd):
        with pytest.raises(OutdatedReport):
            Presenter().report(stored(bad), view(name), Options())


def test_numbers_beyond_64_bits_are_shown():
    """Totals of hostile models are that large."""
    made = report()
    totals = msgspec.structs.replace(made.totals, parameters=2**130, trainable=2**64)
    shown = taken(Presenter().report(stored(msgspec.structs.replace(made, totals=totals)), JSON, Options()))
    assert json.loads(shown)["totals"]["parameters"] == 2**130


def test_a_comparison_is_shown_in_its_views():
    """Each begins with, or holds, the sentence to quote."""
    kept = _stored(reports.encode(fakes.comparison(report(), report())))
    presenter = Presenter()
    for shown in COMPARISON_VIEWS:
        body = taken(presenter.comparison(kept, shown, Options()))
        assert shown.name == "csv" or b"They are equal." in body
    with pytest.raises(OutdatedReport):
        presenter.comparison(stored(report()), JSON, Options())


def test_the_tag_depends_on_all_that_was_asked():
    """Content, view, language, options."""
    one, other = stored(report()), stored(report(4))
    asked = [
        ("json", Options()),
        ("text", Options()),
        ("json", Options(batch=2)),
        ("json", Options(language="zh-Hans")),
    ]
    tags = {tag(kept, *how) for kept in (one, other) for how in asked}
    assert len(tags) == 8
    assert tag(one, "json", Options()) == tag(one, "json", Options())


def test_messages_are_said_when_they_are_shown():
    """The stored report has no language."""
    made = report(notes=(Message("{n} things", [("n", 1234)]),))
    assert json.loads(taken(Presenter().report(stored(made), JSON, Options())))["notes"] == ["1,234 things"]


@pytest.mark.parametrize("name", ["text", "markdown"])
def test_a_page_for_eyes_lists_the_first_layers_and_says_how_many_more_there_are(name, monkeypatch):
    """Whoever wants all is sent to CSV and JSON, which hold them."""
    monkeypatch.setattr(presentation, "MOST_LISTED", 2)
    kept = stored(report(5))
    shown = taken(Presenter().report(kept, view(name), Options())).decode()
    assert "The first 2 layers are listed; 3 more are left out here. CSV and JSON hold all." in shown
    assert shown.count("3, 4") == 2
    whole = taken(Presenter().report(kept, view("csv"), Options())).decode()
    assert all(path in whole for path in (layer.path for layer in report(5).layers))
    assert "left out here" not in taken(Presenter().report(stored(report(2)), view(name), Options())).decode()


def test_recosted_json_in_pieces_is_the_json_of_the_whole():
    """Sharing what layers say alike changes nothing of it."""
    made = report(70)
    body = taken(Presenter().report(stored(made), view("json"), Options(batch=3)))
    assert json.loads(body) == json.loads(encoder("en").encode(recost(made, 3, None)))
