"""What an ONNX file asks for beyond computing: Python, files, other machines, libraries; knows no bytes."""

from __future__ import annotations

from collections.abc import Mapping

from service.catalog.onnx_runtime import Kind, Reach
from service.language import Message, msg
from service.plain import text
from service.tree import Danger, Severity

MAX_LISTED = 50
_ADDRESS = "https://onnxruntime.ai/docs/reference/operators/add-custom-op.html"
_PROGRAMS = "https://onnxruntime.ai/docs/execution-providers/EP-Context-Design.html"
_TALKS = msg("This operation talks to other machines when the model runs.")
_KINDS: Mapping[Kind, tuple[str, Severity, str]] = {
    "code": ("onnx_python_operator", "critical", _ADDRESS),
    "python": ("onnx_python_operator", "high", _ADDRESS),
    "file": ("onnx_file_operator", "high", _PROGRAMS),
    "network": ("onnx_network_operator", "high", _ADDRESS),
    "compiled": ("onnx_compiled_operator", "medium", _PROGRAMS),
    "peers": ("onnx_network_operator", "medium", _ADDRESS),
    "custom": ("onnx_custom_operator", "low", _ADDRESS),
}
"""Kind of reach to code, severity and reference; the worst first."""
_WHAT: Mapping[Kind, Message] = {
    "file": msg("This operation reads or writes files when the model runs."),
    "network": _TALKS,
    "compiled": msg("This operation holds a compiled program of its own, which is not looked into."),
    "peers": _TALKS,
}


def dangers_of(reaching: Mapping[Reach, tuple[str, int]]) -> list[Danger]:
    """One per operator that does more than compute, and what it is given; `reaching`: the first place, how often."""
    worst = list(_KINDS)
    ordered = sorted(reaching, key=lambda one: worst.index(one.kind))
    found = [_danger(one, *reaching[one]) for one in ordered[:MAX_LISTED]]
    rest = len(ordered) - len(found)
    if rest > 0:
        what = msg("And {rest} more like these.", rest=rest)
        found.append(Danger(code="onnx_custom_operator", severity="low", what=what))
    return found


def notes_of(reaching: Mapping[Reach, tuple[str, int]]) -> list[Message]:
    """That weights are missing in the answer, where operators hold or name programs of their own."""
    closed = [(reach.op, count) for reach, (_, count) in reaching.items() if reach.kind in ("compiled", "file")]
    if not closed:
        return []
    names = tuple(dict.fromkeys(text(op, 100) for op, _ in closed))
    return [msg("Weights in programs that were compiled for a device are not counted: {names} (nodes: {count}).",
                names=names, count=sum(count for _, count in closed))]  # fmt: skip


def _danger(reach: Reach, path: str, count: int) -> Danger:
    code, severity, reference = _KINDS[reach.kind]
    name = text(f"{reach.domain}.{reach.op}" if reach.domain else reach.op, 200)
    return Danger(
        code=code,
        severity=severity,
        path=text(path, 500),
        what=_what(reach.kind, name, count),
        detail=f"{name}: {text(reach.given, 200)}" if reach.given else name,
        reference=reference,
    )


def _what(kind: Kind, name: str, count: int) -> Message:
    if kind in ("code", "python"):
        return msg("This operator runs Python code or calls another framework: {operator} (nodes: {count}).",
                   operator=name, count=count)  # fmt: skip
    if kind == "custom":
        return msg("This operator needs a library of its own, whose code runs with the model: {operator} (nodes: "
                   "{count}).", operator=name, count=count)  # fmt: skip
    return _WHAT[kind]
