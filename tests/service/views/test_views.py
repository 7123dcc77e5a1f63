"""The text, CSV and Markdown views of one report, and that nothing from a file acts in any of them."""

from __future__ import annotations

import csv
import io

import pytest

from service.enrich.pipeline import enrich
from service.language import verbatim
from service.translation import speaker
from service.tree import Danger, Report
from service.views import csv_rows, markdown, text
from tests.builders import layer, model, report, weight

SAY = speaker("en")
HOSTILE = "=cmd|' /C calc'!A0\x1b[31m\r\n<script>|`x`\u202e"


@pytest.fixture
def small() -> Report:
    made = model(
        "keras",
        layer(
            "conv2d",
            "conv2d",
            weight("kernel", (3, 3, 1, 32), "kernel", layout="HWIO"),
            weight("bias", (32,), "bias"),
            type="Conv2D",
            output_shapes=((None, 64, 64, 32),),
        ),
        layer("outer", "model", type="Functional", output_shapes=((None, 10),)),
        layer(
            "outer/bn",
            "batch_norm",
            weight("moving_mean", (32,), "moving_mean", "statistic"),
            type="BatchNormalization",
            parent="outer",
        ),
    )
    return report(enrich(made))


def hostile() -> Report:
    danger = Danger(code="x", severity="high", what=verbatim("it runs " + HOSTILE))
    made = model(
        "torch",
        layer(HOSTILE, "custom", weight(HOSTILE, (2,)), type=HOSTILE),
        security=(danger,),
        notes=(verbatim(HOSTILE),),
    )
    return report(enrich(made))


def test_text_is_the_familiar_summary(small: Report) -> None:
    """Layer (type), output shape, count as Keras prints it, and a line for each weight; children are indented."""
    lines = text.render(small, SAY).splitlines()
    assert lines[0] == "Model: a model (test, Keras)"
    assert [line.split("  ")[0].strip() for line in lines[4:8]] == ["conv2d (Conv2D)", "", "outer (Functional)", ""]
    assert "(None, 64, 64, 32)" in lines[4]
    assert lines[4].split()[-7:] == ["320", "kernel", "(3,", "3,", "1,", "32)", "trained"]
    assert lines[5].strip() == "bias (32,) trained"
    assert lines[7].startswith("  bn (BatchNormalization)")
    assert lines[7].endswith("moving_mean (32,) not trained")
    assert "Statistics (never trained)  32" in text.render(small, SAY)


def test_csv_has_a_row_for_each_weight(small: Report) -> None:
    """Columns are named; shapes are readable without quoting."""
    found = list(csv.DictReader(io.StringIO(csv_rows.render(small, SAY))))
    assert [(row["layer_path"], row["weight"], row["shape"], row["count"], row["group"]) for row in found] == [
        ("conv2d", "kernel", "3x3x1x32", "288", "trainable"),
        ("conv2d", "bias", "32", "32", "trainable"),
        ("outer/bn", "moving_mean", "32", "32", "statistic"),
    ]


def test_markdown_explains(small: Report) -> None:
    """The formula of each layer stands in the table."""
    assert "3 × 3 × 1 × 32 + 32 = 320" in markdown.render(small, SAY)


def test_no_control_characters_get_out() -> None:
    """Terminal escapes, line breaks and bidirectional overrides are shown, not sent."""
    for rendered in (text.render(hostile(), SAY), markdown.render(hostile(), SAY)):
        assert not {"\x1b", "\r", "\u202e"} & set(rendered)
        assert "\\x1b[31m" in rendered.replace("\\[", "[")


def test_csv_cells_are_no_formulas() -> None:
    """A spreadsheet sees text."""
    row = list(csv.reader(io.StringIO(csv_rows.render(hostile(), SAY), newline="")))[1]
    assert row[0].startswith("'=cmd")
    assert "\n" not in row[0]


def test_markdown_takes_syntax_literally() -> None:
    """No HTML, no table cells and no code come from a name."""
    rendered = markdown.render(hostile(), SAY)
    assert "<script" not in rendered
    assert "\\|\\`x\\`" in rendered
