"""Which interpreter runs which kind of worker, and what to say where there is none; starts nothing."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import MappingProxyType

from service.config import Settings

KINDS = ("static", "keras", "torch")
_NEEDED = MappingProxyType({"keras": ("tensorflow", "keras"), "torch": ("torch",)})
"""Modules by which an interpreter shows that it has a framework."""


def interpreter(kind: str, settings: Settings) -> str | None:
    """The Python for `kind`: as set; else of the environment beside ours; else ours; None where there is none.

    ValueError if the setting names no file.
    """
    chosen = {"static": settings.static_python, "keras": settings.keras_python, "torch": settings.torch_python}[kind]
    if chosen:
        if not Path(chosen).is_file():
            raise ValueError(f"WEIGHBRIDGE_{kind.upper()}_PYTHON={chosen}: there is no such interpreter.")
        return chosen
    if kind == "static":
        return sys.executable
    beside = Path(sys.prefix).parent / f".venv-{kind}" / "bin" / "python"
    if beside.is_file():
        return str(beside)
    return sys.executable if all(importlib.util.find_spec(name) for name in _NEEDED[kind]) else None


def how_to_install(kind: str) -> str:
    """One sentence for an operator."""
    return f"Install it with: pip install 'weighbridge[{kind}]'"
