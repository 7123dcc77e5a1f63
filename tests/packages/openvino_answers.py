"""What OpenVINO says of the constants of an IR; runs under its interpreter: `openvino_answers.py FILE.xml`.

Prints JSON: name -> {shape, dtype, bytes} of every constant; "operations": the names of all others with their types.
"""

from __future__ import annotations

import json
import sys

import openvino as ov


def main(path: str) -> None:
    """The answer for one pair; the `.bin` is beside the `.xml` under the same name."""
    ops = ov.Core().read_model(path).get_ordered_ops()
    constants = {
        op.get_friendly_name(): {
            "shape": list(op.get_output_shape(0)),
            "dtype": op.get_element_type().get_type_name(),
            "bytes": op.get_byte_size(),
        }
        for op in ops
        if op.get_type_name() == "Constant"
    }
    others = {op.get_friendly_name(): op.get_type_name() for op in ops if op.get_type_name() != "Constant"}
    print(json.dumps({"constants": constants, "operations": others}))


main(sys.argv[1])
