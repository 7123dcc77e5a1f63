"""PyTorch's and NumPy's names for element types, and their sizes; knows no file and no layer."""

from __future__ import annotations

STORAGES: dict[str, str] = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool", "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128",
    "QInt8Storage": "qint8", "QUInt8Storage": "quint8", "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2", "QUInt2x4Storage": "quint2x4",
    "UntypedStorage": "bytes", "_UntypedStorage": "bytes",
}  # fmt: skip
"""Typed storage class -> element type. `bytes` marks storages that count bytes; the tensor then brings its type."""

BITS: dict[str, int] = {
    "bytes": 8, "bool": 8, "uint8": 8, "int8": 8, "qint8": 8, "quint8": 8, "quint4x2": 4, "quint2x4": 2,
    "uint16": 16, "int16": 16, "float16": 16, "bfloat16": 16,
    "uint32": 32, "int32": 32, "qint32": 32, "float32": 32, "complex32": 32,
    "uint64": 64, "int64": 64, "float64": 64, "complex64": 64, "complex128": 128,
    "float8_e4m3fn": 8, "float8_e5m2": 8, "float8_e4m3fnuz": 8, "float8_e5m2fnuz": 8, "float8_e8m0fnu": 8,
    "float4_e2m1fn_x2": 8, "bits8": 8, "bits16": 16, "bits1x8": 8, "bits2x4": 8, "bits4x2": 8,
    **{f"{sign}int{bits}": 8 for sign in ("u", "") for bits in range(1, 8)},
}  # fmt: skip
"""Bits that one element of a tensor takes in a storage."""

_COUNTING_BYTES = frozenset({"bytes", "quint4x2", "quint2x4"})
"""Types whose storages count bytes and not elements, of which one holds several."""

ALIASES: dict[str, str] = {
    "float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32", "short": "int16",
    "cfloat": "complex64", "cdouble": "complex128", "chalf": "complex32",
}  # fmt: skip

SCALAR_TYPES: dict[int, str] = {
    0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32", 7: "float64", 8: "complex32",
    9: "complex64", 10: "complex128", 11: "bool", 12: "qint8", 13: "quint8", 14: "qint32", 15: "bfloat16",
    16: "quint4x2",
    17: "quint2x4", 23: "float8_e5m2", 24: "float8_e4m3fn", 25: "float8_e5m2fnuz", 26: "float8_e4m3fnuz",
    27: "uint16", 28: "uint32", 29: "uint64", 44: "float8_e8m0fnu", 45: "float4_e2m1fn_x2",
}  # fmt: skip
"""c10::ScalarType, as TorchScript attributes store it (c10/core/ScalarType.h)."""

EXPORT_TYPES: dict[int, str] = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64", 9: "complex32",
    10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16", 29: "float8_e4m3fn", 30: "float8_e5m2",
    31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu", 34: "uint32", 35: "uint64",
}  # fmt: skip
"""ScalarType of torch.export's schema (torch/_export/serde/schema.py), which counts differently."""

_NUMPY_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex"}


def element_bits(dtype: str | None) -> int | None:
    """Bits of one element, None for a type without a fixed size."""
    return BITS.get(dtype) if dtype is not None else None


def stored_bytes(dtype: str | None, count: int | None) -> int | None:
    """Bytes that `count` elements take, rounded up to whole bytes."""
    bits = element_bits(dtype)
    return None if bits is None or count is None else (bits * count + 7) // 8


def storage_bytes(dtype: str | None, count: int | None) -> int | None:
    """Bytes of a storage that says it has `count` elements; one that packs several into a byte counts the bytes."""
    return count if dtype in _COUNTING_BYTES else stored_bytes(dtype, count)


def is_gradient_type(dtype: str | None) -> bool:
    """Whether autograd can give a tensor of this type a gradient: floating point and complex ones only."""
    return dtype is None or dtype.startswith(("float", "bfloat", "complex"))


def is_quantised(dtype: str | None) -> bool:
    """Whether a tensor of this type is quantised by PyTorch, with scales and zero points beside it."""
    return dtype is not None and dtype.startswith(("qint", "quint"))


def from_torch_name(name: str) -> str | None:
    """`float32` for `torch.float32` or `torch.float`, None for anything else."""
    short = name.removeprefix("torch.")
    short = ALIASES.get(short, short)
    return short if short in BITS and short != "bytes" else None


def from_numpy_code(code: str) -> str | None:
    """`float32` for NumPy's `<f4`; None for strings, objects and records."""
    code = code.lstrip("<>=|")
    if code in ("b1", "?"):
        return "bool"
    if code[:1] in _NUMPY_KINDS and code[1:].isdigit() and len(code) <= 3:
        return f"{_NUMPY_KINDS[code[0]]}{int(code[1:]) * 8}"
    return None
