"""docs/formats.md is what the readers say of themselves today."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from service.registry import formats

DOCS = Path(__file__).resolve().parent.parent / "docs"


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_formats", DOCS / "make_formats.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date() -> None:
    """`make formats` writes it."""
    assert (DOCS / "formats.md").read_text(encoding="utf-8") == maker().page()


def test_every_format_has_real_files() -> None:
    """At least two that nobody here made; of those that no package was found to ship, the page says what is read."""
    real, written = maker().real_files(), maker().written()
    counts = {one.id: len(real.get(one.id, ())) for one in formats()}
    assert {name for name, count in counts.items() if count == 0} == written.keys()
    assert [name for name, count in counts.items() if count == 1] == []
