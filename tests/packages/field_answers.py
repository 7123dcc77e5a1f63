"""What coremltools, Flax and Paddle say of model files; runs under their Python: `field_answers.py paddle FILE ...`.

Prints JSON: for each file its arrays by name, each with shape and the first value where it is known, and the types of
its layers in their order. For the pinned files of the manifests only.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")


def coremltools(path: str) -> dict[str, Any]:
    """Layers of a network with the elements of their arrays, or operations of a program with their operands."""
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model.FromString(Path(path).read_bytes())
    if spec.WhichOneof("Type") == "mlProgram":
        function = spec.mlProgram.functions["main"]
        return program(function.block_specializations[function.opset].operations)
    layers = spec.neuralNetwork.layers
    return {
        "types": [layer.WhichOneof("layer") for layer in layers],
        "elements": {layer.name: elements(getattr(layer, layer.WhichOneof("layer"))) for layer in layers},
    }


def program(operations: Any) -> dict[str, Any]:
    """Types of the operations, and the shapes of their constant operands that are floats with axes."""
    constants: dict[str, list[int]] = {}
    types, arrays = [], {}
    for one in operations:
        if one.type == "const":
            tensor = one.outputs[0].type.tensorType
            if tensor.dataType in (10, 11) and tensor.rank:
                constants[one.outputs[0].name] = [axis.constant.size for axis in tensor.dimensions]
            continue
        types.append(one.type)
        name = one.attributes["name"].immediateValue.tensor.strings.values[0]
        for operand, argument in one.inputs.items():
            for bound in argument.arguments:
                if bound.name in constants:
                    arrays[f"{name}/{operand}"] = constants[bound.name]
    return {"types": types, "shapes": arrays}


def elements(message: Any) -> int:
    """Elements of every WeightParams in a message."""
    if message.DESCRIPTOR.name == "WeightParams":
        return len(message.floatValue) + len(message.float16Value) // 2
    found = 0
    for field, value in message.ListFields():
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            found += sum(map(elements, value)) if field.is_repeated else elements(value)
    return found


def paddle(path: str) -> dict[str, Any]:
    """Persistable variables of a program with their shapes and first values."""
    import numpy as np
    import paddle

    paddle.enable_static()
    with paddle.pir_utils.OldIrGuard():
        runner = paddle.static.Executor(paddle.CPUPlace())
        model, _, _ = paddle.static.load_inference_model(path.removesuffix(".pdmodel"), runner)
        kept = [one for one in model.list_vars() if one.persistable and one.name not in ("feed", "fetch")]
        values = {one.name: np.array(paddle.static.global_scope().find_var(one.name).get_tensor()) for one in kept}
    return facts(values) | {"types": [one.type for one in model.global_block().ops]}


def paddle_json(path: str) -> dict[str, Any]:
    """Parameters of a program of Paddle 3 with their shapes and first values."""
    import numpy as np
    import paddle

    paddle.enable_static()
    runner = paddle.static.Executor(paddle.CPUPlace())
    model, _, _ = paddle.static.load_inference_model(path.removesuffix(".json"), runner)
    operators = model.global_block().ops
    names = [one.attrs()["parameter_name"] for one in operators if one.name() == "builtin.parameter"]
    values = {name: np.array(paddle.static.global_scope().find_var(name).get_tensor()) for name in names}
    return facts(values) | {"types": [one.name().removeprefix("pd_op.") for one in operators]}


def paddle_state(path: str) -> dict[str, Any]:
    """Arrays of a state_dict with their shapes and first values."""
    import paddle

    return facts({name: value.numpy() for name, value in paddle.load(path).items() if hasattr(value, "numpy")})


def flax(path: str) -> dict[str, Any]:
    """Arrays of a Flax checkpoint by their key paths, and what else is in it: bytes by their size."""
    from flax import serialization

    def leaves(tree: Any, *path: str) -> Iterator[tuple[str, Any]]:
        if isinstance(tree, dict):
            for key, inner in tree.items():
                yield from leaves(inner, *path, str(key))
        else:
            yield "/".join(path), tree

    found = dict(leaves(serialization.msgpack_restore(Path(path).read_bytes())))
    arrays = {name: [list(one.shape), str(one.dtype)] for name, one in found.items() if hasattr(one, "shape")}
    others = {name: one for name, one in found.items() if name not in arrays}
    values = {name: f"<{len(one)} bytes>" if isinstance(one, bytes) else one for name, one in others.items()}
    return {"arrays": arrays, "values": values}


def facts(values: dict[str, Any]) -> dict[str, Any]:
    """Shapes and first values of arrays."""
    return {
        "shapes": {name: list(value.shape) for name, value in values.items()},
        "first": {name: float(value.reshape(-1)[0]) for name, value in values.items()},
    }


ANSWERS = {
    "coremltools": coremltools, "flax": flax, "paddle": paddle, "paddle_json": paddle_json,
    "paddle_state": paddle_state,
}  # fmt: skip


def main(answer: str, *paths: str) -> None:
    """Print the answers."""
    json.dump({path: ANSWERS[answer](path) for path in paths}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
