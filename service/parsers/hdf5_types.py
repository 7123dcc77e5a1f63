"""Element types of HDF5 data by numpy's names; knows the datatype message, section IV.A.2.d of the specification."""

from __future__ import annotations

import struct

import msgspec

from service.errors import MalformedFile
from service.language import msg
from service.parsers.hdf5_messages import SHARED, Message

_FLOATS = {
    (2, 5, 10): "float16",
    (2, 8, 7): "bfloat16",
    (4, 8, 23): "float32",
    (8, 11, 52): "float64",
    (1, 4, 3): "float8_e4m3fn",
    (1, 5, 2): "float8_e5m2",
}
_BY_CLASS = {2: "time", 3: "string", 4: "bitfield", 5: "opaque", 7: "reference", 10: "array", 11: "complex"}
FIXED, FLOAT, STRING, OPAQUE, COMPOUND, ENUM, VARIABLE = 0, 1, 3, 5, 6, 8, 9


class ElementType(msgspec.Struct, frozen=True):
    """One element: numpy's name for it, its class in the file, its size in bytes.

    `variable_text` is True for strings of variable length, which lie in a heap; `signed` and `little` tell how to
    read a whole number.
    """

    name: str
    kind: int
    size: int
    variable_text: bool = False
    signed: bool = False
    little: bool = True


def type_of(message: Message) -> ElementType:
    """The type a datatype message describes; `committed` for one that is stored elsewhere."""
    if message.flags & SHARED:
        return ElementType("committed", -1, 0)
    return read_type(message.data, message.address)


def read_type(data: bytes, address: int) -> ElementType:
    """The type encoded at the beginning of `data`.

    Raises:
        MalformedFile: Cut short.
    """
    if len(data) < 8:
        raise MalformedFile(msg("A datatype in the HDF5 file is broken."), offset=address)
    kind, bits = data[0] & 0x0F, int.from_bytes(data[1:4], "little")
    size = int.from_bytes(data[4:8], "little")
    little = not bits & 1
    if kind == FIXED:
        return ElementType(f"{'int' if bits & 8 else 'uint'}{8 * size}", kind, size, False, bool(bits & 8), little)
    if kind == FLOAT:
        return ElementType(_float_name(data, size), kind, size, little=little)
    if kind == ENUM:
        return ElementType(_enum_name(data, address), kind, size)
    if kind == VARIABLE:
        is_text = bits & 0x0F == 1
        return ElementType("string" if is_text else "variable", kind, size, variable_text=is_text)
    if kind == COMPOUND:
        return ElementType(_compound_name(data, size), kind, size)
    return ElementType(_BY_CLASS.get(kind, "unknown"), kind, size)


def _float_name(data: bytes, size: int) -> str:
    if len(data) < 20:
        return f"float{8 * size}"
    _, _, _, exponent, _, mantissa = struct.unpack_from("<HHBBBB", data, 8)
    return _FLOATS.get((size, exponent, mantissa), f"float{8 * size}")


def _enum_name(data: bytes, address: int) -> str:
    """h5py writes booleans as an enumeration of FALSE and TRUE; other enumerations count as their numbers."""
    if b"FALSE\x00" in data[:96] and b"TRUE\x00" in data[:96]:
        return "bool"
    return read_type(data[8:], address).name if data[8:9] and data[8] & 0x0F == FIXED else "enum"


def _compound_name(data: bytes, size: int) -> str:
    """Complex numbers are pairs of `r` and `i`."""
    is_complex = data[8:10] == b"r\x00" and b"i\x00" in data[10:120]
    return f"complex{8 * size}" if is_complex and size in (4, 8, 16, 32) else "compound"
