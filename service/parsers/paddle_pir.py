"""Paddle 3's programs (PIR) from their JSON, as the variables and operators that `paddle_program` has.

Knows the short keys of the JSON and the operand order of the operators that have weights; not what they compute.

Source: paddle/fluid/pir/serialize_deserialize (schema.h, schema.cc, serialize_utils.h); the operands of each operator
in paddle/fluid/pir/dialect/operator/ir of Paddle 3.3.
"""

from __future__ import annotations

from typing import Any

from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.json_streams import EVERY, parse_each, written
from service.parsers.paddle_program import Operator, Program, Variable

MAGIC = "pir"
_Type = tuple[str | None, tuple[int | None, ...] | None]
_DTYPES = {
    "t_bool": "bool", "t_i8": "int8", "t_ui8": "uint8", "t_i16": "int16", "t_i32": "int32", "t_i64": "int64",
    "t_f16": "float16", "t_bf16": "bfloat16", "t_f32": "float32", "t_f64": "float64", "t_c64": "complex64",
    "t_c128": "complex128", "t_f8e4m3fn": "float8_e4m3fn", "t_f8e5m2": "float8_e5m2",
}  # fmt: skip

SLOTS: dict[str, tuple[str, ...]] = {
    "conv2d": ("Input", "Filter"), "conv3d": ("Input", "Filter"), "depthwise_conv2d": ("Input", "Filter"),
    "conv2d_transpose": ("Input", "Filter"), "conv3d_transpose": ("Input", "Filter"),
    "depthwise_conv2d_transpose": ("Input", "Filter"), "conv2d_transpose_bias": ("Input", "Filter", "Bias"),
    "fused_conv2d_add_act": ("Input", "Filter", "Bias", "ResidualData"), "matmul": ("X", "Y"), "add": ("X", "Y"),
    "fc": ("Input", "W", "Bias"), "fused_gemm_epilogue": ("X", "Y", "Bias"), "gemm_epilogue": ("Input", "W", "Bias"),
    "linear_v2": ("Input", "W", "Bias"), "depthwise_conv2d_bias": ("Input", "Filter", "Bias"),
    "deformable_conv": ("Input", "Offset", "Filter", "Mask"), "c_embedding": ("W", "Ids"),
    "gru": ("Input", "H0", "Weight", "Bias"), "lstm": ("Input", "H0", "C0", "Weight", "Bias"),
    "batch_norm": ("X", "Mean", "Variance", "Scale", "Bias"),
    "sync_batch_norm": ("X", "Mean", "Variance", "Scale", "Bias"), "layer_norm": ("X", "Scale", "Bias"),
    "group_norm": ("X", "Scale", "Bias"), "instance_norm": ("X", "Scale", "Bias"), "fused_rms_norm_ext": ("X", "Scale"),
    "embedding": ("Ids", "W"), "prelu": ("X", "Alpha"),
    "rnn": ("Input", "PreState", "WeightList", "SequenceLength", "DropoutState"),
    "dequantize_linear": ("X", "Scale", "ZeroPoint"), "quantize_linear": ("X", "Scale", "ZeroPoint"),
}  # fmt: skip
"""Operand names, in the order of the operator's definition; others are told by their number."""
_RMS_NORM = (("X", "Scale"), ("X", "Bias", "Residual", "Scale", "Offset"))
"""Of `rms_norm` as it is now, and as it was when it added a bias and a residual first."""

_DIALECTS = {"0": "builtin", "1": "pd_op", "2": "cf", "3": "custom_op", "4": "pd_dist"}
_MAX_DEPTH = 32
_MAX_VALUES = 256
_COMBINE = "builtin.combine"


def is_pir(document: Any) -> bool:
    """Whether a JSON document says that it is a program of this kind."""
    code = document.get("base_code") if isinstance(document, dict) else None
    return isinstance(code, dict) and code.get("magic") == MAGIC and isinstance(document.get("program"), dict)


def program(data: bytes, limits: Limits, member: str | None = None) -> Program:
    """The program in a document.

    Raises:
        MalformedFile: It is no JSON, does not say that it is of this kind, or is not built as one.
        LimitExceeded: It is too large.
    """
    reading = _Reading(limits)
    document = parse_each(
        data, {_OPERATORS: reading.take}, max_bytes=limits.json_bytes, max_depth=limits.json_depth, member=member
    )
    del data
    if not is_pir(document):
        raise MalformedFile(msg("The program does not say that it is PIR."), member=member)
    blocks = [_items(block.get("ops")) if isinstance(block, dict) else [] for region in
              _items(document["program"].get("regions")) if isinstance(region, dict)
              for block in _items(region.get("blocks"))]  # fmt: skip
    if not blocks:
        raise MalformedFile(msg("The program has no blocks."))
    main, *others = [[one for one in ops if isinstance(one, Operator)] for ops in blocks]
    version = document["base_code"].get("version")
    found = reading.found
    found.blocks[0] = main
    found.blocks.extend(others)
    found.version = str(version) if isinstance(version, int) else None
    return found


_OPERATORS = ("program", "regions", EVERY, "blocks", EVERY, "ops")


class _Reading:
    """One document on its way to a program; values are named by their numbers, parameters by their names.

    The operators of the outermost blocks are taken one by one, so that the document is never there as a whole.
    """

    def __init__(self, limits: Limits) -> None:
        self.found = Program(blocks=[[]])
        self._limits = limits
        self._count = 0
        self._names: dict[int, str] = {}
        self._lists: dict[str, list[str]] = {}
        self._types: dict[bytes, _Type] = {}
        self._settings: dict[bytes, dict[str, Any]] = {}

    def take(self, key: str | None, one: Any) -> Operator | None:
        """An operator of an outermost block; None for a parameter, and for what only makes a list of values."""
        return self._taken(one, 0) if key is None else None

    def _regions(self, regions: Any, depth: int) -> tuple[int, ...]:
        """Read the blocks of an operator's regions; answers with their numbers in the program."""
        if depth > _MAX_DEPTH:
            raise LimitExceeded("depth", _MAX_DEPTH, msg("Blocks lie inside each other too deeply."))
        found = []
        for region in _items(regions):
            for block in _items(region.get("blocks") if isinstance(region, dict) else None):
                found.append(len(self.found.blocks))
                operators: list[Operator] = []
                self.found.blocks.append(operators)
                taken = [self._taken(one, depth) for one in _items(block.get("ops") if isinstance(block, dict) else 0)]
                operators.extend(one for one in taken if one is not None)
        return tuple(found)

    def _taken(self, one: Any, depth: int) -> Operator | None:
        if not isinstance(one, dict) or not isinstance(one.get("#"), str):
            raise MalformedFile(msg("An operator of the program has no type."))
        found = self._parameter(one) if one["#"] == "p" else self._operator(one, depth)
        self._count += found is not None
        if self._count > self._limits.layers or len(self.found.variables) > 4 * self._limits.weights:
            raise LimitExceeded(
                "layers", self._limits.layers, msg("The program has more operators than may be described.")
            )
        return found

    def _parameter(self, one: dict[str, Any]) -> Operator | None:
        """`A`: distributed, parameter, need_clip, name; `OA`: persistable, stop_gradient, trainable."""
        settings, flags, result = one.get("A"), one.get("OA"), one.get("O")
        if not isinstance(settings, list) or len(settings) < 4 or not isinstance(settings[3], str):
            raise MalformedFile(msg("A parameter of the program has no name."))
        name = settings[3]
        dtype, shape = self._type(result)
        flags = flags if isinstance(flags, list) and len(flags) >= 3 else None
        self.found.variables[name] = Variable(
            name, dtype, shape, persistable=flags is None or bool(flags[0]), parameter=bool(settings[1]),
            trainable=None if flags is None else bool(flags[2]),
        )  # fmt: skip
        number = _number(result)
        if number is not None:
            self._names[number] = name
        return None

    def _operator(self, one: dict[str, Any], depth: int) -> Operator | None:
        kind = _full_type(one["#"])
        operands = [self._name(item) for item in _items(one.get("I"))]
        results = []
        variables = self.found.variables
        for item in _items(one.get("O")):
            name = self._name(item)
            if name not in variables:
                variables[name] = Variable(name, *self._type(item))
            results.append(name)
        if kind == _COMBINE and results:
            self._lists[results[0]] = operands
            return None
        plain = kind.rpartition(".")[2]
        slots = _RMS_NORM[len(operands) > 2] if plain == "rms_norm" else SLOTS.get(plain.removesuffix("_"), ())
        inputs: dict[str, list[str]] = {}
        for index, name in enumerate(operands):
            slot = slots[index] if index < len(slots) else str(index)
            inputs[slot] = self._lists.get(name, [name] if name else [])
        return Operator(
            kind if not kind.startswith("pd_op.") else plain, inputs, {"Out": results}, self._plain(one.get("A")),
            self._regions(one.get("regions"), depth + 1),
        )  # fmt: skip

    def _plain(self, settings: Any) -> dict[str, Any]:
        """Settings; operators that are written alike share theirs."""
        as_written = written(settings)
        found = self._settings.get(as_written)
        if found is None:
            found = _settings(settings)
            if as_written:
                self._settings[as_written] = found
        return found

    def _type(self, result: Any) -> _Type:
        """Element type and sizes of a result; a program has very many values of few types."""
        kind = result.get("TT") if isinstance(result, dict) else None
        as_written = written(kind)
        found = self._types.get(as_written)
        if found is None:
            found = _type(kind)
            if as_written:
                self._types[as_written] = found
        return found

    def _name(self, item: Any) -> str:
        number = _number(item)
        if number is None or number == 0:
            return ""
        return self._names.get(number, f"%{number}")


def _full_type(short: str) -> str:
    dialect, _, name = short.partition(".")
    return f"{_DIALECTS.get(dialect, dialect)}.{name}"


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(item: Any) -> int | None:
    number = item.get("%") if isinstance(item, dict) else None
    return number if type(number) is int else None


def _type(kind: Any) -> _Type:
    """Element type and sizes of a dense tensor, else None."""
    parts = kind.get("D") if isinstance(kind, dict) else None
    if not isinstance(parts, list) or len(parts) < 2:
        return None, None
    if not isinstance(parts[0], dict) or not isinstance(parts[1], list):
        return None, None
    name = str(parts[0].get("#", "")).rpartition(".")[2]
    if not all(type(size) is int for size in parts[1]):
        return None, None
    return _DTYPES.get(name), tuple(size if size >= 0 else None for size in parts[1])


def _settings(settings: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in _items(settings):
        if isinstance(one, dict) and isinstance(one.get("N"), str) and isinstance(one.get("AT"), dict):
            found[one["N"]] = _plain(one["AT"].get("D"))
    return found


def _plain(value: Any) -> Any:
    """A setting's value: arrays hold settings with types of their own."""
    if not isinstance(value, list):
        return value
    return [item.get("D") if isinstance(item, dict) else item for item in value[:_MAX_VALUES]]
