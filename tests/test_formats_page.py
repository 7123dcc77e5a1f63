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


NONE_SHIPPED = {
    "executorch", "executorch_data", "flax_msgpack", "hf_adapter", "hf_config", "keras_json", "keras_v3", "layer_list",
    "orbax", "torch_export", "torch_pickle", "torch_shards", "torch_tar",
}  # fmt: skip
"""Forms that no package was found to ship: held against their own libraries only, on files that those wrote."""


def test_every_other_format_has_real_files() -> None:
    """At least one that nobody here made; and what is found to be shipped leaves the list."""
    assert {one.id for one in formats()} - maker().real_files().keys() == NONE_SHIPPED
