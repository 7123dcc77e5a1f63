"""Writes what the formats' own definitions say, as far as it can be asked of installed packages, into the folder given.

expected.json: "coreml": numbers of element types, models, layers with their fields, activations, from coremltools'
compiled protobufs; "paddle": numbers of element types, and the operands of each operator in the order of its class.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from pathlib import Path

import paddle
from coremltools.proto import MIL_pb2, Model_pb2, NeuralNetwork_pb2
from paddle.base.proto import framework_pb2

warnings.filterwarnings("ignore")
OUT = Path(sys.argv[1])
OPERATOR = re.compile(r'static const char \*name\(\) \{ return "pd_op\.(\w+)"; \}')
OPERAND = re.compile(r"pir::Value (\w+)\(\) \{ return operand_source\(\d+\); \}")


def fields(message) -> dict[int, str]:
    """Names of a message's fields by number."""
    return {field.number: field.name for field in message.fields}


def coreml() -> dict:
    """Numbers of Core ML's specification."""
    layer = NeuralNetwork_pb2.NeuralNetworkLayer.DESCRIPTOR.oneofs_by_name["layer"]
    return {
        "dtypes": {number: name.lower() for name, number in MIL_pb2.DataType.items()},
        "models": {field.number: field.name for field in Model_pb2.Model.DESCRIPTOR.oneofs_by_name["Type"].fields},
        "layers": {field.number: [field.name, fields(field.message_type)] for field in layer.fields},
        "activations": fields(NeuralNetwork_pb2.ActivationParams.DESCRIPTOR),
    }


def operands() -> dict[str, list[str]]:
    """Names of the operands of Paddle's operators, in their order."""
    headers = Path(paddle.sysconfig.get_include()) / "paddle/fluid/pir/dialect/operator/ir"
    text = "\n".join(one.read_text() for one in sorted(headers.glob("*_op.h")))
    found = {}
    for match in OPERATOR.finditer(text):
        end = text.find("\n};", match.end())
        found[match[1]] = OPERAND.findall(text, match.end(), end)
    return found


TYPES = {number: name.lower() for name, number in framework_pb2.VarType.Type.items()}
(OUT / "expected.json").write_text(
    json.dumps({"coreml": coreml(), "paddle": {"dtypes": TYPES, "operands": operands()}})
)
