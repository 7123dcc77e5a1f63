"""Which interpreter is taken for which kind."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from service.config import Settings
from service.sandbox.kinds import KINDS, how_to_install, interpreter, starts_at_once


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """An interpreter in `tmp_path/.venv` that finds no framework."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    return tmp_path


def test_uploads_are_read_by_this_interpreter(alone):
    """Unless another is set."""
    assert interpreter("static", Settings()) == sys.executable
    assert interpreter("static", Settings(static_python="/bin/sh")) == "/bin/sh"


def test_a_setting_wins(alone):
    """Over whatever stands beside."""
    assert interpreter("torch", Settings(torch_python="/bin/sh")) == "/bin/sh"


def test_a_setting_that_names_nothing_is_an_error(alone):
    """It names the variable."""
    with pytest.raises(ValueError, match="WEIGHBRIDGE_TORCH_PYTHON"):
        interpreter("torch", Settings(torch_python=str(alone / "absent")))


def test_the_environment_beside_ours_is_found(alone):
    """`.venv-keras` next to `.venv`."""
    beside = alone / ".venv-keras" / "bin" / "python"
    beside.parent.mkdir(parents=True)
    beside.touch()
    assert interpreter("keras", Settings()) == str(beside)


def test_this_interpreter_serves_if_it_has_the_framework(alone, monkeypatch):
    """All in one environment is possible too; Keras counts only with TensorFlow."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name in ("torch", "keras") else None)
    assert interpreter("torch", Settings()) == sys.executable
    assert interpreter("keras", Settings()) is None


def test_without_a_framework_there_is_none_and_a_way_to_get_one(alone):
    """Named with its extra."""
    assert interpreter("keras", Settings()) is None
    assert "weighbridge[keras]" in how_to_install("keras")


def test_values_are_read_by_the_interpreter_of_uploads_if_it_has_numpy(alone, monkeypatch):
    """Another interpreter is asked itself."""
    assert interpreter("values", Settings()) is None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == "numpy" else None)
    assert interpreter("values", Settings()) == sys.executable
    for status, found in ((0, True), (1, False)):
        other = alone / f"python{status}"
        other.write_text(f"#!/bin/sh\nexit {status}\n")
        other.chmod(0o700)
        assert interpreter("values", Settings(static_python=str(other))) == (str(other) if found else None)
    assert "numpy" in how_to_install("values")


def test_only_reading_structure_always_starts_with_the_service():
    """The others by setting."""
    cold, warm = Settings(warm_frameworks=False), Settings(warm_values=True, warm_transformers=True)
    assert [kind for kind in KINDS if starts_at_once(kind, cold)] == ["static"]
    assert [kind for kind in KINDS if starts_at_once(kind, Settings())] == ["static", "keras", "torch"]
    assert all(starts_at_once(kind, warm) for kind in KINDS)
