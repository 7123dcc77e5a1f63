"""What each language of the views takes literally, and that JSON stays the same values."""

from __future__ import annotations

import json

import pytest

from service.views import escape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1", "'=1"), ("＝1", "'＝1"), (" +1", "' +1"), ("a;=1", "a;'=1"), ('a;"@x', "a;\"'@x"), ("a-b", "a-b"),
        ("a;b", "a;b"), ("\t=1", "\\x09=1"),
    ],
)  # fmt: skip
def test_no_cell_begins_a_formula(text: str, shown: str) -> None:
    """At its start, or where Excel would split it at a semicolon."""
    assert escape.cell(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("@all", "`@`all"), ("#1", "`#`1"), ("http://x", "http\\://x"), ("www.x", "www\\.x"), ("&lt;", "\\&lt;"),
        ("1. x", "1\\. x"), ("1.5e-05", "1.5e\\-05"), ("dense:0", "dense:0"), ("$x$", "\\$x\\$"),
    ],
)  # fmt: skip
def test_markdown_links_mentions_and_counts_nothing(text: str, shown: str) -> None:
    """GitHub makes links of plain addresses, and of names and numbers behind signs even where these are escaped."""
    assert escape.markdown(text) == shown


def test_json_keeps_its_values() -> None:
    """Every character up to U+FFFF, and tags above: the same values, and none that acts."""
    values = [chr(code) for code in (*range(0xD800), *range(0xE000, 0x10000), 0xE0041, 0x1F469)]
    written = json.dumps(values, ensure_ascii=False).encode()
    quiet = escape.json(written)
    assert json.loads(quiet) == values
    assert not {"\x7f", "\x9b", "\u202e", "\u2028", "\ufeff", "\U000e0041"} & set(quiet.decode())


def test_letters_that_show_nothing_are_shown() -> None:
    """Two names that look alike would be two."""
    assert escape.terminal("a\u3164b\u2800") == "a\\u{3164}b\\u{2800}"
