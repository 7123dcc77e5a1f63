"""Which names can only be meant as code: by their module, or by what they are called in any module."""

from __future__ import annotations

import pytest

from service.catalog.code_names import runs_code


@pytest.mark.parametrize(("module", "name", "expected"), [
    ("os", "system", True), ("os.path", "join", True), ("pip._internal", "main", True), ("hydra.utils", "call", True),
    ("any.library", "load", True), ("any.library", "Class.load", True), ("numpy", "fromfile", True),
    ("any.library", "instantiate", True), ("somebody.layers", "Swish", False), ("nemo.asr", "Encoder", False),
    ("oslo", "Config", False), ("any.library", "loader", False), ("", "", False),
])  # fmt: skip
def test_names_of_code(module: str, name: str, expected: bool) -> None:
    """All of Python's own library; in others what loads, opens, fetches or runs."""
    assert runs_code(module, name) is expected
