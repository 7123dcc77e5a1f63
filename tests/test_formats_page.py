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
    """At least one that nobody here made, but for the forms that no package was found to ship."""
    real = maker().real_files()
    none_found = {one.id for one in formats()} - real.keys()
    assert none_found <= NONE_SHIPPED


NONE_SHIPPED = frozenset[str]()
