"""The class text of TorchScript archives (`code/**/*.py`): declarations only, read as text; nothing is imported or run.

The text is what PyTorch's own printer writes (torch/csrc/jit/serialization/python_print.cpp): two spaces of
indentation, one declaration a line. Method bodies are only searched for names that reach outside.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any

from service.language import Message, msg
from service.tree import Danger

_CLASS = re.compile(r"class (\w+)\((\w+)\):\s*\Z")
_NAMES = re.compile(r'  __(parameters|buffers)__ = \[((?:"[^"\n]*", ?)*)\]\Z')
_ATTRIBUTE = re.compile(r"  (\w+) : ([^=]+)(?:= (.*))?\Z")
_ANNOTATION = re.compile(r'  __annotations__\["([^"\n]*)"\] = (.+)\Z')
_NAME = re.compile(r'"([^"]*)"')
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"?')
_MANGLE = re.compile(r"\A___torch_mangle_\d+\Z")
_MAX_LITERAL = 500
_MAX_LISTED = 50


@dataclass(slots=True)
class ScriptClass:
    """One declared class: names of its parameters and buffers, attribute -> type text, constant -> value."""

    name: str
    base: str
    parameters: set[str] = field(default_factory=set)
    buffers: set[str] = field(default_factory=set)
    attributes: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)


def module_name(member: str) -> str:
    """`__torch__.torch.nn.modules.conv` for `code/__torch__/torch/nn/modules/conv.py`."""
    return member.removeprefix("code/").removesuffix(".py").replace("/", ".")


def parse_classes(code: str, module: str) -> Iterator[ScriptClass]:
    """The classes declared in one member of `code/`, with qualified names."""
    current: ScriptClass | None = None
    for line in code.splitlines():
        if line[:1] not in (" ", ""):
            found = _CLASS.match(line)
            if current is not None:
                yield current
            current = ScriptClass(f"{module}.{found[1]}", found[2]) if found else None
        elif current is not None and line[:2] == "  " and line[2:3] not in (" ", ""):
            _declare(current, line.rstrip())
    if current is not None:
        yield current


def _declare(target: ScriptClass, line: str) -> None:
    """One line of a class body: names, an attribute, or a constant. Methods are passed over."""
    names = _NAMES.match(line)
    if names:
        (target.parameters if names[1] == "parameters" else target.buffers).update(_NAME.findall(names[2]))
        return
    annotation = _ANNOTATION.match(line)
    if annotation:
        target.attributes[annotation[1]] = annotation[2]
        return
    attribute = _ATTRIBUTE.match(line)
    if attribute and attribute[3] is not None and attribute[2].startswith("Final["):
        target.constants[attribute[1]] = _literal(attribute[3])
    elif attribute:
        target.attributes[attribute[1]] = attribute[2].rstrip()


def _literal(text: str) -> Any:
    """The value of a short literal; its own text where it is not one."""
    if len(text) > _MAX_LITERAL:
        return f"{text[:_MAX_LITERAL]}…"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def original_class(qualified: str) -> tuple[str, str | None]:
    """Class and Python module that `__torch__.torch.nn.modules.conv.___torch_mangle_3.Conv2d` was compiled from."""
    steps = [step for step in qualified.split(".") if not _MANGLE.match(step)]
    if steps and steps[0] == "__torch__":
        steps = steps[1:]
    return (steps[-1] if steps else qualified), ".".join(steps[:-1]) or None


# What the code could reach

_DOT = r"\s*\.\s*"
_REACHING: tuple[tuple[str, re.Pattern[str], Message], ...] = (
    ("torchscript_import", re.compile(r"^[ \t]*(?:import|from)[ \t]+\w", re.MULTILINE),
     msg("The TorchScript code imports a Python module.")),
    ("torchscript_call", re.compile(
        r"(?<![\w.])(?:(?:__import__|eval|exec|compile|open|getattr_static)\s*\("
        r"|getattr\s*\((?!\s*[\w.]+\s*,\s*\"[^\"]*\"\s*\)))"),
     msg("The TorchScript code calls a function that runs code or opens a file.")),
    ("torchscript_library", re.compile(r"\bload_library\b"), msg("The TorchScript code loads a native library.")),
    ("torchscript_file", re.compile(rf"(?:\btorch|\bops{_DOT}aten){_DOT}(?:from_file|load|save|hub)\b"),
     msg("The TorchScript code reads or writes a file.")),
    ("torchscript_network", re.compile(rf"\bops{_DOT}(?:rpc|c10d|_c10d_functional|c10d_functional|dist_autograd)\b"),
     msg("The TorchScript code talks to other machines.")),
    ("torchscript_python", re.compile(r"\^\w+\("), msg("The TorchScript code calls back into Python.")),
)  # fmt: skip
_OPERATOR = re.compile(rf"\bops{_DOT}(\w+){_DOT}(\w+)")
_CLASS_OF_LIBRARY = re.compile(rf"\btorch{_DOT}classes{_DOT}(\w+){_DOT}(\w+)")
_KNOWN_OPERATORS = frozenset(
    ["aten", "prim", "quantized", "prepacked", "torchvision", "torchaudio", "mkldnn", "onednn", "inductor", "prims",
     "c10d", "rpc", "xnnpack", "sparse", "profiler", "cuda", "mps", "metal", "vulkan", "rngprims", "_quantized",
     "quantized_decomposed"]
)  # fmt: skip
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_INSIDE = frozenset({"balance", "balanced", "balancing", "memory"})
"""Words beside which those below mean something else: a load that is shared out, bytes that are a tensor already."""


def _told(code: str) -> tuple[str, Message]:
    return next((name, what) for name, _, what in _REACHING if name == code)


_WORDS: tuple[tuple[frozenset[str], tuple[str, Message]], ...] = (
    (frozenset({"http", "https", "url", "socket", "download", "upload"}), _told("torchscript_network")),
    (frozenset({"exec", "popen", "system", "shell", "subprocess", "eval"}), _told("torchscript_call")),
    (frozenset({"file", "files", "read", "write", "load", "save", "open", "io", "ffmpeg"}), _told("torchscript_file")),
)
"""Words in an operator's name that say what it reaches, whichever library it is of."""
_ENGINES = frozenset({"tensorrt", "torch_tensorrt", "trt", "neuron", "openvino", "qnn"})
_HOLDS_PROGRAM = msg("This operation holds a compiled program of its own, which is not looked into.")


def dangers_in(code: str, member: str) -> list[Danger]:
    """What the code of one member could reach outside the model. Strings are not looked into."""
    bare = _STRING.sub(lambda found: '"' + " " * (len(found[0]) - 2) + '"', code)
    found = [
        Danger(code=name, severity="high", what=what, member=member, offset=hit.start(),
               detail=code[hit.start() : hit.start() + 200].strip())
        for name, pattern, what in _REACHING if (hit := pattern.search(bare))
    ]  # fmt: skip
    said = {one.code for one in found}
    found.extend(one for one in _operators(bare, member) if one.code not in said)
    return [*found, *_libraries(bare, member)]


def _operators(bare: str, member: str) -> Iterator[Danger]:
    """Operators and classes of libraries whose names say that they reach outside: the first of each kind."""
    said: set[str] = set()
    for hit in chain(_OPERATOR.finditer(bare), _CLASS_OF_LIBRARY.finditer(bare)):
        told = _reached(hit[2])
        if told is not None and told[0] not in said:
            said.add(told[0])
            yield Danger(code=told[0], severity="high", what=told[1], member=member, offset=hit.start(),
                         detail=hit[0][:200])  # fmt: skip


@lru_cache(maxsize=4096)
def _reached(name: str) -> tuple[str, Message] | None:
    """What an operator of this name reaches; None where it says nothing of the kind."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not _INSIDE.isdisjoint(words):
        return None
    return next((told for listed, told in _WORDS if not listed.isdisjoint(words)), None)


def _libraries(bare: str, member: str) -> Iterator[Danger]:
    """Libraries that must provide operators; of those that run programs for one device, that these are unseen."""
    libraries = sorted({hit[1] for hit in _OPERATOR.finditer(bare)} - _KNOWN_OPERATORS)
    for library in libraries[:_MAX_LISTED]:
        what = msg(
            "The TorchScript code uses operators of {library}, which a library of its own must provide.",
            library=library,
        )
        yield Danger(code="torchscript_custom_operator", severity="low", what=what, member=member, detail=library)
        if library in _ENGINES:
            yield Danger(code="torchscript_compiled_operator", severity="medium", what=_HOLDS_PROGRAM, member=member,
                         detail=library)  # fmt: skip
