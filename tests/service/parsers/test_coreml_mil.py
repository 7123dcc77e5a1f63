"""Core ML's programs as coremltools' definition of the messages allows them, in every way of writing them."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile
from service.parsers.coreml_mil import Operation, block, functions, operations
from service.parsers.coreml_values import DTYPES, Type, Value, literal, place, value
from service.parsers.protobuf import Blocks, Memory
from tests.service.parsers.protobufs import all_of, entry, held, source_of, varint, whole

FLOAT32, INT32, STRING, BOOL, FLOAT16 = 11, 23, 2, 1, 10


def tensor_type(dtype: int, *sizes: int | None) -> bytes:
    axes = b"".join(held(3, held(2, b"") if size is None else held(1, whole(1, size))) for size in sizes)
    return held(1, whole(1, dtype) + whole(2, len(sizes)) + axes)


def named(name: str, kind: bytes) -> bytes:
    return held(1, name) + held(2, kind)


def immediate(kind: bytes, which: int, values: bytes) -> bytes:
    """A value kept in the program: `which` of the lists, with what is in it."""
    return held(2, kind) + held(3, held(1, held(which, values)))


def text(content: str) -> bytes:
    return immediate(tensor_type(STRING), 4, held(1, content))


def blob(kind: bytes, file: str, offset: int) -> bytes:
    return held(2, kind) + held(5, held(1, file) + whole(2, offset))


def operation(kind: str, *rest: bytes) -> bytes:
    return held(1, kind) + b"".join(rest)


def program(*ops: bytes, name: str = "main", opset: str = "CoreML7") -> bytes:
    inner = held(2, "y") + b"".join(held(3, one) for one in ops)
    function = held(1, named("x", tensor_type(FLOAT32, 1, 4))) + held(2, opset) + held(3, entry(opset, inner))
    return whole(1, 1) + held(2, entry(name, function))


def sources(data: bytes) -> list[Blocks | Memory]:
    """The same bytes held whole, and read in blocks."""
    return [Memory(source_of(data)), Blocks(source_of(data))]


def only_operation(data: bytes) -> Operation:
    """The one operation of a program, which is the same however it is read."""
    first, second = (
        next(operations(source, found.block))
        for source in sources(data)
        for found in functions(source, all_of(data))
        if found.block is not None
    )
    assert first == second
    return first


def only_value(data: bytes) -> Value:
    first, second = (value(source, all_of(data)) for source in sources(data))
    assert first == second
    return first


def test_functions_have_inputs_and_the_block_of_their_opset() -> None:
    """Of several blocks the one that the function names; without it the first by name. Functions come by name."""
    blocks = held(3, entry("old", held(2, "a"))) + held(3, entry("new", held(2, "b")))
    data = held(2, entry("other", held(2, "lost") + blocks))
    data += held(2, entry("main", held(1, named("x", tensor_type(FLOAT16, None, 3))) + held(2, "old") + blocks))
    for source in sources(data):
        main, other = functions(source, all_of(data))
        assert (main.name, main.opset, main.inputs) == ("main", "old", [("x", Type("float16", (None, 3)))])
        assert main.block is not None
        assert other.block is not None
        assert [block(source, one).outputs for one in (main.block, other.block)] == [["a"], ["b"]]


def test_an_operation_has_operands_by_name_or_in_place() -> None:
    """One name, several, or a constant written where it is used; results, attributes, and blocks inside."""
    argument = held(1, held(1, "a")) + held(1, held(1, "b")) + held(1, held(2, text("c")))
    found = only_operation(
        program(
            operation(
                "concat", held(2, entry("values", argument)), held(2, entry("x", held(1, held(1, "alone")))),
                held(2, entry("nothing", b"")), held(3, named("y", tensor_type(INT32, 2, 2))), held(4, held(2, "z")),
                held(5, entry("name", text("concat_1"))),
            )
        )
    )  # fmt: skip
    assert found.type == "concat"
    assert found.inputs["x"] == ["alone"]
    assert found.inputs["nothing"] == []
    assert found.inputs["values"][:2] == ["a", "b"]
    assert isinstance(found.inputs["values"][2], Value)
    assert found.outputs == [("y", Type("int32", (2, 2)))]
    assert list(found.attributes) == ["name"]
    assert len(found.blocks) == 1


@pytest.mark.parametrize("length", [1, 100, 127, 128, 200, 20_000])
def test_names_of_any_length(length: int) -> None:
    """What is written in two bytes of length, or more, is read as what is written in one; a very long one is cut."""
    name = "n" * length
    shown = name if length <= 4096 else f"{name[:4096]}… ({length - 4096} more bytes)"
    found = only_operation(
        program(operation("relu", held(2, entry("x", held(1, held(1, name)))),
                          held(3, named(name, tensor_type(FLOAT32, 1)))))
    )  # fmt: skip
    assert found.inputs["x"] == [shown]
    assert found.outputs[0][0] == shown


@pytest.mark.parametrize(("number", "name"), DTYPES.items())
def test_element_types(number: int, name: str) -> None:
    """Every number of the definition's DataType."""
    assert only_value(held(2, tensor_type(number, 2))).type == Type(name, (2,))


def test_what_is_no_tensor_has_no_sizes() -> None:
    """Lists and the like; a rank that is left open; of a state the type that it holds."""
    assert only_value(held(2, held(2, b""))).type == Type()
    assert only_value(held(2, held(1, whole(1, FLOAT32) + whole(2, -1)))).type == Type("float32", None)
    assert only_value(held(2, held(5, held(1, tensor_type(FLOAT16, 8))))).type == Type("float16", (8,))
    assert only_value(held(2, held(1, whole(1, 999) + whole(2, 0)))).type == Type(None, ())


def test_a_value_in_a_file() -> None:
    """Its name and the offset of the metadata; offset 0 need not be written."""
    found = only_value(blob(tensor_type(FLOAT32, 4), "@model_path/weights/weight.bin", 1 << 40))
    assert (found.file, found.offset, found.tensor) == ("@model_path/weights/weight.bin", 1 << 40, None)
    assert only_value(held(2, tensor_type(FLOAT32)) + held(5, held(1, "w"))).offset == 0


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (text("same"), "same"),
        (text(""), ""),
        (immediate(tensor_type(STRING, 2), 4, held(1, "a") + held(1, "b")), ["a", "b"]),
        (immediate(tensor_type(STRING, 1), 4, held(1, "a")), ["a"]),
        (immediate(tensor_type(INT32, 3), 2, held(1, varint(1) + varint(-2) + varint(300))), [1, -2, 300]),
        (immediate(tensor_type(INT32), 2, held(1, varint(7))), 7),
        (immediate(tensor_type(INT32), 2, whole(1, 7)), 7),
        (immediate(tensor_type(BOOL), 3, held(1, b"\x01")), True),
        (immediate(tensor_type(24, 1), 5, held(1, varint(1 << 40))), [1 << 40]),
        (immediate(tensor_type(FLOAT32), 1, held(1, struct.pack("<f", 0.5))), 0.5),
        (immediate(tensor_type(12), 6, held(1, struct.pack("<d", 0.1))), 0.1),
        (immediate(tensor_type(FLOAT16, 2), 7, held(1, struct.pack("<2e", 1, 2))), [1.0, 2.0]),
        (immediate(tensor_type(31, 3), 7, held(1, bytes((1, 2, 255)))), [1, 2, 255]),
        (immediate(tensor_type(21, 2), 7, held(1, b"\xff\x01")), [-1, 1]),
        (immediate(tensor_type(35, 3), 7, held(1, b"\xff\x01")), []),
        (immediate(tensor_type(INT32, 9), 2, held(1, bytes(9))), None),
        (blob(tensor_type(INT32, 2), "w", 64), None),
    ],
)
def test_settings_are_read_as_values(data: bytes, answer: Any) -> None:
    """Numbers, truths and texts, single or in lists of up to the limit; what lies in a file is not read."""
    for source in sources(data):
        assert literal(source, value(source, all_of(data)), 8) == answer


@pytest.mark.parametrize(
    ("which", "values", "size"),
    [(1, held(1, bytes(16)), 16), (6, held(1, bytes(32)), 32), (7, held(1, bytes(8)), 8), (2, held(1, bytes(4)), None),
     (1, held(1, bytes(8)) + held(1, bytes(8)), None), (4, held(1, "a"), None)],
)  # fmt: skip
def test_places_of_immediate_values(which: int, values: bytes, size: int | None) -> None:
    """Floats and raw bytes in one piece are values as they lie; whole numbers of varying length and texts are not."""
    data = immediate(tensor_type(FLOAT32, 4), which, values)
    for source in sources(data):
        found = place(source, value(source, all_of(data)))
        assert (None if found is None else found.length) == size
        assert found is None or found.offset + found.length == len(data)


def test_what_is_broken_is_refused_with_its_place() -> None:
    """A type cut within is told where it lies in the file, although types are remembered by their bytes."""
    data = held(2, held(1, held(3, held(1, b"\x08"))))
    for source in sources(data):
        with pytest.raises(TruncatedFile) as caught:
            value(source, all_of(data))
        assert caught.value.info.offset is not None
        assert caught.value.info.offset >= 8
    for broken in (held(2, whole(1, 3)), held(2, b"\x0b")):
        for source in sources(broken):
            with pytest.raises(InputError):
                value(source, all_of(broken))


def test_depth_is_limited() -> None:
    """States of states do not end the stack; a number where a message should be is an error."""
    kind = tensor_type(FLOAT32, 1)
    for _ in range(40):
        kind = held(5, held(1, kind))
    with pytest.raises(LimitExceeded):
        only_value(held(2, kind))
    with pytest.raises(MalformedFile):
        list(functions(source_of(held(2, entry("main", whole(1, 4)))), all_of(held(2, entry("main", whole(1, 4))))))
