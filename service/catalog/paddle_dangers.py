"""What running an operator of a PaddlePaddle program would do beyond computing; knows operators, no graph."""

from __future__ import annotations

from service.catalog.paddle_operations import CODE_OPERATORS, FILE_OPERATORS, NETWORK_OPERATORS
from service.language import msg
from service.parsers.paddle_program import Operator
from service.plain import text
from service.tree import Danger, Severity


def danger_of(one: Operator, kind: str, path: str) -> Danger | None:
    """Whether the operator of the layer at `path` runs code, touches files or speaks to other machines."""
    severity: Severity = "high"
    if kind in CODE_OPERATORS or one.type.startswith("custom_op."):
        what = msg("The operator {type} runs code that is not in the file.", type=text(one.type, 200))
        code = "paddle_custom_operator"
        severity = "high" if kind in CODE_OPERATORS else "medium"
    elif kind in FILE_OPERATORS:
        what = msg("Running the model reads or writes a file: {path}.", path=text(_file(one), 200))
        code = "paddle_file_operator"
    elif kind in NETWORK_OPERATORS:
        what = msg("Running the model speaks to other machines: operator {type}.", type=text(one.type, 200))
        code = "paddle_network_operator"
    else:
        return None
    return Danger(
        code=code, severity=severity, what=what, path=path, offset=one.place, detail=text(_file(one), 500) or None
    )


def _file(one: Operator) -> str:
    for name in ("file_path", "filename", "token"):
        value = one.attributes.get(name)
        if isinstance(value, str):
            return value
    return ""
