"""What an unpickler that does not know joblib makes of joblib's pickles of objects, as far as it is worth telling.

joblib pickles an array of objects in place, with a memo of its own. To `pickle.load` that is a part of the pickle
around it: what the inner one takes out of its memo is then something of the outer one, and names come out wrong. In an
ordinary file they are names of nothing, and the unpickler gives up; in another they are what its author wants to be
called. Knows names; must not know files.
"""

from __future__ import annotations

import builtins
import re
from typing import Any

from service.catalog.pickle_names import is_standard
from service.catalog.torch_globals import is_harmless, runs_code
from service.config import Limits
from service.parsers.pickle_joblib import HOMES, Meant, Misreading, Name, run_ignorant
from service.parsers.pickle_machine import PersistentHook
from service.parsers.pickle_types import Global, Instance, Persistent, Trace
from service.source import Source

_MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
_OF_ARRAYS = frozenset((module, name) for module in _MODULES for name in ("dtype", "ndarray", "scalar"))
"""Names that pickles of arrays look up in a module of their memo, and that run nothing in whichever module it is."""
_CLASS = re.compile(
    r"(?:.*\.)?_?[A-Z]\w*\Z|(?:dtype|_reconstruct|scalar|defaultdict|deque|slice|complex|__\w+_ctor)\Z", re.ASCII
)
"""Names of what makes objects of its own, and no text."""


def run_as_opcodes(
    meant: Meant, source: Source, start: int, limits: Limits, hook: PersistentHook = Persistent
) -> Trace:
    """What an unpickler that does not know joblib would do: it takes arrays' bytes for opcodes, misreads names."""
    return run_ignorant(source, start, limits, meant, _MISREADING, hook)


def _is_meant(meant: Name, read: Name) -> bool:
    """Whether a name that is read otherwise than it is meant stands for no danger of its own.

    Then what is meant is judged in its place, by what is done with it here. A name is not believed to be meant in a
    module of which any name is harmless: a file's author could choose it. Only one of the two parts may be misread.
    """
    if meant in _OF_ARRAYS and read[1] == meant[1]:
        return True
    if (read[0] != meant[0] and read[1] != meant[1]) or any(map(_may_be_text, read)) or _is_open(meant[0]):
        return False
    if not all(isinstance(one, str) for one in read):
        return True  # no unpickler looks up what is no text
    return _is_idle(*read) or (read[0] in HOMES and is_harmless(*meant))


def _may_be_text(value: Any) -> bool:
    """Whether something that is no text here may be one when the file is loaded."""
    if not isinstance(value, Instance):
        return isinstance(value, Persistent)
    maker = value.maker
    if not isinstance(maker, Global) or maker.module is None or maker.name is None:
        return True
    return _CLASS.match(maker.name) is None and (value.how == "called" or maker.module == "builtins")


def _is_open(module: Any) -> bool:
    """Whether any name in a module, or any class in it, is harmless."""
    return not isinstance(module, str) or is_harmless(module, "x") or is_harmless(module, "X")


def _is_idle(module: str, name: str) -> bool:
    """Whether a name is not known to run anything, nor of Python's own library, where much does and names are known."""
    if module == "builtins" and not hasattr(builtins, name):
        return not runs_code(module, name)
    return not runs_code(module, name) and not is_standard(module)


def _is_no_function(value: Any) -> bool:
    """Whether a value does nothing when it is called: plain, harmless, a class of a library, made of one."""
    if isinstance(value, Instance):
        maker = value.maker
        if not isinstance(maker, Global) or maker.module is None or maker.name is None:
            return False
        return is_harmless(maker.module, maker.name) or (value.how == "created" and _is_no_function(maker))
    if isinstance(value, Global):
        module, name = value.module, value.name
        if module is None or name is None:
            return False
        return is_harmless(module, name) or (name[:1].isupper() and _is_idle(module, name))
    return not isinstance(value, Persistent)


_MISREADING = Misreading(_is_meant, _is_no_function)
