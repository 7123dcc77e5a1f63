"""Which kinds of worker there are, which interpreter runs each, and what to say where there is none.

static reads what describes a model, values the numbers too (with NumPy), keras and torch build specs, transformers
the configurations of its library.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

from service.config import Settings

KINDS = ("static", "values", "keras", "torch", "transformers")
_NEEDED = MappingProxyType(
    {
        "values": ("numpy",),
        "keras": ("tensorflow", "keras"),
        "torch": ("torch",),
        "transformers": ("torch", "transformers"),
    }
)
"""Modules by which an interpreter shows that it can serve a kind."""
_LODGERS = MappingProxyType({"values": "static", "transformers": "torch"})
"""Kinds that run in the interpreter of another."""
_LOOK = "import importlib.util, sys; sys.exit(not all(map(importlib.util.find_spec, sys.argv[1:])))"
_LOOK_SECONDS = 30


def interpreter(kind: str, settings: Settings) -> str | None:
    """The Python for `kind`: as set; else of the environment beside ours; else ours; None where there is none.

    values runs in the interpreter of static, transformers in that of torch.

    ValueError if the setting names no file.
    """
    if kind in _LODGERS:
        python = interpreter(_LODGERS[kind], settings)
        return python if python is not None and _has(python, _NEEDED[kind]) else None
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
    return sys.executable if _has(sys.executable, _NEEDED[kind]) else None


def _has(python: str, modules: tuple[str, ...]) -> bool:
    """Whether `python` finds all `modules`; another interpreter than this one has to be asked."""
    if python == sys.executable:
        return all(importlib.util.find_spec(name) for name in modules)
    asked = subprocess.run([python, "-I", "-c", _LOOK, *modules], check=False, env={}, timeout=_LOOK_SECONDS)  # noqa: S603 - an interpreter of the operator's choice
    return asked.returncode == 0


def starts_at_once(kind: str, settings: Settings) -> bool:
    """Whether its warm process starts with the service, and not on first need."""
    own = {"static": True, "values": settings.warm_values, "transformers": settings.warm_transformers}
    return own.get(kind, settings.warm_frameworks)


def how_to_install(kind: str) -> str:
    """One sentence for an operator."""
    return f"Install it with: {install_command(kind)}"


def install_command(kind: str) -> str:
    """What to type where the worker of `kind` is missing."""
    return "pip install numpy" if kind == "values" else f"pip install 'weighbridge[{kind}]'"
