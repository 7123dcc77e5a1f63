"""Code that lies beside a model: compiled, or Python's own. Knows what it begins with and which files loaders run.

Must not know models or archives: it is given names and first bytes.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from service.language import Message, msg
from service.plain import shortened, text
from service.tree import Danger, Severity

HEAD = 64
"""How many first bytes tell."""
_NATIVE = (
    b"\x7fELF",
    b"\xcf\xfa\xed\xfe",
    b"\xce\xfa\xed\xfe",
    b"\xfe\xed\xfa\xcf",
    b"\xfe\xed\xfa\xce",
    b"\xca\xfe\xba\xbe",
    b"\xca\xfe\xba\xbf",
    b"MZ",
)
_BYTECODE = re.compile(rb"..\r\n[\x00-\x03]\x00{3}.{8}\xe3", re.DOTALL)
"""Python's bytecode: a number of its version, flags, what tells its source, and a code object."""
_RUN_BY_NAME = re.compile(
    r"(?:modeling|configuration|tokenization|processing|image_processing|feature_extraction|pipeline)(?:_\w+)?\.py"
    r"|handler\.py|hubconf\.py|(?:.*/)?custom_generate/.*\.py",
    re.ASCII,
)
"""Files that transformers, diffusers, torch.hub and inference servers look for beside a model, and run."""
_MOST_NAMED = 10


def is_native(start: bytes) -> bool:
    """Whether a file that begins so is a program or library; two letters alone are no proof."""
    if not start.startswith(_NATIVE):
        return False
    return start[:2] != b"MZ" or (len(start) == HEAD and int.from_bytes(start[60:64], "little") < 1 << 16)


def native(name: str, holder: str) -> Danger:
    """What is said of it: `holder` is an `archive`, a Python `package`, or a `folder`."""
    what, severity = _NATIVE_IN[holder]
    return Danger(code="native_library", severity=severity, member=text(name), what=what)


_NATIVE_IN: Mapping[str, tuple[Message, Severity]] = {
    "archive": (msg("The archive holds compiled code, which loading it would run."), "high"),
    "package": (
        msg("The archive is a Python package with compiled code, which runs when the package is imported."),
        "medium",
    ),
    "folder": (msg("Compiled code lies beside the model: a program that loads it runs it."), "high"),
}


def is_bytecode(name: str, start: bytes) -> bool:
    """Whether it is Python compiled."""
    return start[2:4] == b"\r\n" and (name.endswith((".pyc", ".pyo")) or _BYTECODE.match(start) is not None)


def bytecode(name: str) -> Danger:
    """What is said of it."""
    what = msg("Compiled Python lies beside the model: importing it runs it, and what it does cannot be read.")
    return Danger(code="python_code", severity="medium", member=text(name), what=what)


def is_source(name: str) -> bool:
    """Whether it is called as Python's source is."""
    return name.lower().endswith((".py", ".pyw", ".ipynb"))


def sources(names: Iterable[str], modules: Collection[str], *, served: bool) -> Iterator[Danger]:
    """What is said of Python files: those that loaders run, by their names or for a document names them; then others.

    `served`: all of them are run by a server, which the archive is for.
    """
    others = []
    for name in names:
        module = name.removesuffix(".py").replace("/", ".").removeprefix("..")
        base = posixpath.basename(name)
        known = served or module in modules or base.removesuffix(".py") in modules
        if known or _RUN_BY_NAME.fullmatch(base) or _RUN_BY_NAME.fullmatch(name):
            what = msg("Python code lies beside the model: loaders that are told to trust it run it.")
            yield Danger(code="python_code", severity="medium", member=text(name), what=what)
        else:
            others.append(name)
    if others:
        what = msg("Python code lies beside the model, which nothing here says that a loader runs.")
        shown = ", ".join(shortened(others, _MOST_NAMED))
        yield Danger(code="python_code", severity="low", member=text(others[0]), detail=text(shown, 500), what=what)
