"""Which interpreter is taken for which kind."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from service.config import Settings
from service.sandbox.kinds import how_to_install, interpreter


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
