"""The views of a comparison: the sentence first, what differs told once, and nothing from a file acts in them."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser

import msgspec
import pytest

from service.comparisons import (
    Cause,
    Comparison,
    Difference,
    HyperParameter,
    LayerPair,
    Problem,
    Side,
    Transform,
    WeightPair,
)
from service.language import msg, verbatim
from service.translation import speaker
from service.views import comparison_csv, comparison_html, comparison_markdown, comparison_rows, comparison_text

SAY = speaker("en")
HOSTILE = "=cmd|' /C calc'!A0\x1b[31m\r\n<script>|`x`\u202e"
EYES = (comparison_text, comparison_markdown, comparison_html)


def pair(number: int, **more) -> LayerPair:
    transform = Transform(code="permute", text=msg("HWIO to OIHW"))
    weight = WeightPair(
        left=("kernel",), right=("weight",), role="kernel", left_count=9, right_count=9, transform=transform
    )
    known = {"left": f"conv{number}", "right": f"layer.{number}", "kind": "conv2d", "status": "renamed"}
    return LayerPair(**{**known, "weights": (weight,), **more})


def comparison(*layers: LayerPair, **more) -> Comparison:
    known = {
        "schema_version": "1.0",
        "summary": msg("The gap of 64 is BatchNormalization."),
        "status": "complete",
        "left": Side(name="left model", framework="keras", format="keras_v3", counted=13108758, layers=12),
        "right": Side(name=None, framework="torch", format="torch_state_dict", counted=None, layers=12),
        "gap": -64,
        "unexplained": 0,
        "causes": (Cause(code="buffers", count=-64, text=msg("Buffers are not counted."), layers=("bn", "layer.1")),),
        "hyperparameters": (),
        "values": False,
    }
    return Comparison(layers=layers, **{**known, **more})


@pytest.mark.parametrize("view", EYES)
def test_the_sentence_to_quote_comes_first(view):
    """Then the models, the gap, and each cause with its share."""
    shown = view.render(comparison(), SAY)
    places = [
        shown.index(text) for text in ("The gap of 64", "left model", "13,108,758", "-64", "Buffers are not counted")
    ]
    assert places == sorted(places)


def test_an_unknown_count_is_not_a_zero():
    """A question mark, also for the gap that follows from it."""
    lines = comparison_text.render(comparison(gap=None, unexplained=None), SAY).splitlines()
    assert next(line for line in lines if line.split()[:1] == ["right"]).split()[-1] == "?"
    assert "Right minus left: ?; not explained: ?." in lines


@pytest.mark.parametrize("view", EYES)
def test_layers_that_differ_alike_are_told_once(view):
    """A thousand renamed layers are one line."""
    other = pair(0, status="removed", right=None, weights=())
    shown = view.render(comparison(*(pair(number) for number in range(1000)), other), SAY)
    assert "1,000" in shown
    assert "conv0" in shown
    assert "conv1" not in shown
    assert len(shown) < 6000


def test_layers_without_a_difference_are_only_counted():
    """Equal pairs, unless their values differ."""
    weight = pair(0).weights[0]
    same = msgspec.structs.replace(weight, difference=Difference(verdict="close", max_absolute=1e-7))
    wrong = msgspec.structs.replace(weight, difference=Difference(verdict="different", max_absolute=2.5, cosine=0.5))
    alone = msgspec.structs.replace(weight, right=(), transform=None)
    pairs = [
        pair(number, status="equal", weights=(found,)) for number, found in enumerate((weight, same, wrong, alone))
    ]
    made = comparison(*pairs, values=True)
    assert [fold.first.left for fold in comparison_rows.folds(made)] == ["conv2"]
    shown = comparison_text.render(made, SAY)
    assert "Layers without a difference: 3." in shown
    assert "different values (max |Δ| 2.5, cos 0.5)" in shown
    assert "Weights with close values: 1 and different values: 1." in shown


def test_settings_that_are_equal_once_converted_are_only_counted():
    """The others are shown with both values and the conversion."""
    same = HyperParameter(
        left="bn", right="bn", name="momentum", left_value=0.99, right_value=0.01, converted=0.01, equal=True
    )
    other = msgspec.structs.replace(
        same, name="epsilon", right_value=1e-3, converted=1e-5, left_value=1e-5, equal=False
    )
    shown = comparison_text.render(comparison(hyperparameters=(same, other)), SAY)
    assert "epsilon" in shown
    assert "momentum" not in shown
    assert "Equal once converted: 1." in shown


def test_problems_of_values_are_named():
    """In every view for eyes."""
    problem = Problem(code="gate_order", text=msg("The gates are in another order."), layers=("lstm", "rnn"))
    for view in EYES:
        shown = view.render(comparison(problems=(problem,), values=True), SAY)
        assert "The gates are in another order" in shown


def test_what_is_said_of_a_layer_is_not_cut():
    """Sentences stand in the last column."""
    long = msg(
        "A sentence of many words that goes on and on until every column of a terminal is filled, and beyond it."
    )
    cause = Cause(code="buffers", count=-64, text=long, layers=("bn",))
    problem = Problem(code="gate_order", text=long, layers=("bn",))
    made = comparison(pair(0, status="changed", changes=(long,)), causes=(cause,), problems=(problem,))
    assert comparison_text.render(made, SAY).count(str(long)) == 3


def test_only_weights_that_have_something_to_tell_are_told():
    """A transform, a difference, a note, no counterpart; not one that is just the same."""
    plain = msgspec.structs.replace(pair(0).weights[0], transform=None, role="bias", left=("same",), right=("same",))
    alone = msgspec.structs.replace(plain, left=(), right=("num_batches_tracked",))
    shown = comparison_text.render(comparison(pair(0, weights=(*pair(0).weights, plain, alone))), SAY)
    assert "kernel → weight; HWIO to OIHW." in shown
    assert "— → num_batches_tracked." in shown
    assert "same." not in shown


def test_very_many_differences_are_cut_for_eyes_and_whole_as_csv():
    """With how many are left out."""
    made = comparison(*(pair(number, changes=(msg("Change {n}.", n=number),)) for number in range(500)))
    for view in EYES:
        assert "300 more" in view.render(made, SAY)
    assert len(list(csv.reader(io.StringIO(comparison_csv.render(made, SAY))))) == 501


def test_csv_has_a_row_for_each_pair_of_weights():
    """And one for a layer without weights; numbers in full."""
    difference = Difference(verdict="close", max_absolute=1.25e-7, max_relative=1e-6, cosine=1.0)
    weight = msgspec.structs.replace(pair(0).weights[0], difference=difference)
    made = comparison(pair(0, weights=(weight, weight)), pair(1, left=None, status="added", weights=()))
    rows = list(csv.DictReader(io.StringIO(comparison_csv.render(made, SAY))))
    assert [row["left_layer"] for row in rows] == ["conv0", "conv0", ""]
    assert (rows[0]["transform"], rows[0]["verdict"], rows[0]["max_absolute"]) == ("permute", "close", "1.25e-07")
    assert (rows[2]["status"], rows[2]["role"]) == ("added", "")


def hostile() -> Comparison:
    weight = WeightPair(
        left=(HOSTILE,), right=(HOSTILE,), role=HOSTILE, left_count=1, right_count=1, notes=(verbatim(HOSTILE),),
        transform=Transform(code=HOSTILE, text=verbatim(HOSTILE)),
        difference=Difference(verdict="unknown", reason=verbatim(HOSTILE)),
    )  # fmt: skip
    setting = HyperParameter(
        left=HOSTILE, right=HOSTILE, name=HOSTILE, left_value={HOSTILE: [HOSTILE]}, right_value=HOSTILE,
        converted=None, equal=None,
    )  # fmt: skip
    side = Side(name=HOSTILE, framework=HOSTILE, format=HOSTILE, counted=2**80, layers=1)
    return comparison(
        pair(0, left=HOSTILE, right=HOSTILE, kind=HOSTILE, changes=(verbatim(HOSTILE),), weights=(weight,)),
        summary=verbatim(HOSTILE), left=side, right=side, notes=(verbatim(HOSTILE),), hyperparameters=(setting,),
        causes=(Cause(code=HOSTILE, count=-(2**80), text=verbatim(HOSTILE), layers=(HOSTILE,) * 9),),
        problems=(Problem(code=HOSTILE, text=verbatim(HOSTILE), layers=(HOSTILE,)),),
    )  # fmt: skip


@pytest.mark.parametrize("view", [comparison_text, comparison_markdown, comparison_html, comparison_csv])
def test_no_control_character_reaches_a_reader(view):
    """Escapes, line breaks and overrides are shown, not sent."""
    shown = view.render(hostile(), SAY)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\r" not in shown.replace("\r\n", "\n")


def test_names_are_text_in_html_and_markdown_and_a_spreadsheet():
    """No tag, no table cell, no formula of theirs."""
    tags: set[str] = set()

    class Seen(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.add(tag)

    Seen().feed(comparison_html.render(hostile(), SAY))
    assert "table" in tags
    assert "script" not in tags
    assert "<script>" not in comparison_markdown.render(hostile(), SAY)
    rows = list(csv.reader(io.StringIO(comparison_csv.render(hostile(), SAY))))
    assert {len(row) for row in rows} == {len(comparison_csv.COLUMNS)}
    assert not any(cell.startswith("=") for row in rows for cell in row)
