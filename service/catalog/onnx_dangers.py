"""What an ONNX file asks for beyond ONNX itself: operators that libraries or Python have to bring; knows no bytes."""

from __future__ import annotations

from collections.abc import Mapping

from service.language import msg
from service.plain import text
from service.tree import Danger

MAX_LISTED = 50
_PYTHON = frozenset({"PyOp", "PyCustomOp", "PythonOp", "ATen", "ATenOp"})
_ADDRESS = "https://onnxruntime.ai/docs/reference/operators/add-custom-op.html"


def dangers_of(foreign: Mapping[tuple[str, str], tuple[str, int]]) -> list[Danger]:
    """One per operator that is neither ONNX' nor ONNX Runtime's own; `foreign`: the first place, how often."""
    ordered = sorted(foreign, key=lambda one: one[1] not in _PYTHON)
    found = [_danger(domain, op, *foreign[domain, op]) for domain, op in ordered[:MAX_LISTED]]
    rest = len(ordered) - len(found)
    if rest > 0:
        what = msg("And {rest} more like these.", rest=rest)
        found.append(Danger(code="onnx_custom_operator", severity="low", what=what))
    return found


def _danger(domain: str, op: str, path: str, count: int) -> Danger:
    name = text(f"{domain}.{op}", 200)
    if op in _PYTHON:
        return Danger(
            code="onnx_python_operator",
            severity="high",
            path=text(path, 500),
            what=msg("This operator runs Python code or calls another framework: {operator} (nodes: {count}).",
                     operator=name, count=count),
            detail=name,
            reference=_ADDRESS,
        )  # fmt: skip
    return Danger(
        code="onnx_custom_operator",
        severity="low",
        path=text(path, 500),
        what=msg("This operator needs a library of its own, whose code runs with the model: {operator} (nodes: "
                 "{count}).", operator=name, count=count),
        detail=name,
        reference=_ADDRESS,
    )  # fmt: skip
