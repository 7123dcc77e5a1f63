"""PaddlePaddle's ProgramDesc, message by message as framework.proto has it: variables, operators, settings, blocks."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile
from service.parsers import paddle_program
from service.parsers.paddle_program import Program, Variable, looks_like_program, program
from tests.service.parsers.protobufs import held, source_of, varint, whole

ROOT = whole(1, 0) + whole(2, -1)
FLOAT32, LOD_TENSOR, SELECTED_ROWS, RAW = 5, 7, 8, 17


def description(dtype: int, *sizes: int) -> bytes:
    return whole(1, dtype) + b"".join(whole(2, size) for size in sizes)


def variable(name: str, kind: bytes, *rest: bytes) -> bytes:
    return held(3, held(1, name) + held(2, kind) + b"".join(rest))


def tensor(dtype: int, *sizes: int) -> bytes:
    return whole(1, LOD_TENSOR) + held(3, held(1, description(dtype, *sizes)))


def slot(number: int, name: str, *arguments: str) -> bytes:
    return held(number, held(1, name) + b"".join(held(2, one) for one in arguments))


def setting(name: str, *values: bytes) -> bytes:
    return held(4, held(1, name) + whole(2, 0) + b"".join(values))


def operator(kind: str, *rest: bytes) -> bytes:
    return held(4, b"".join(rest) + held(3, kind))


def read(*inner: bytes, rest: bytes = b"") -> Program:
    return program(source_of(held(1, ROOT + b"".join(inner)) + rest), Limits())


def test_variables_say_what_they_are() -> None:
    """Shape and type of tensors and of rows; what outlives a run; what is called a parameter, and its training."""
    found = read(
        variable("x", tensor(FLOAT32, -1, 3)),
        variable("w", tensor(22, 3, 4), whole(3, 1), whole(5, 1)),
        variable("fixed", tensor(21, 2), whole(3, 1), whole(5, 1), whole(6, 1)),
        variable("rows", whole(1, SELECTED_ROWS) + held(2, description(3, 7)), whole(3, 1)),
        variable("scope", whole(1, RAW)),
        variable("scalar", tensor(6)),
    ).variables
    assert found == {
        "x": Variable("x", "float32", (None, 3)),
        "w": Variable("w", "bfloat16", (3, 4), persistable=True, parameter=True, trainable=True),
        "fixed": Variable("fixed", "int8", (2,), persistable=True, parameter=True, trainable=False),
        "rows": Variable("rows", "int64", (7,), persistable=True),
        "scope": Variable("scope", None, None),
        "scalar": Variable("scalar", "float64", ()),
    }


def test_operators_have_names_by_slot_and_blocks() -> None:
    """One argument, several, none; the type is written after them; blocks by their numbers."""
    found = read(
        operator("while", slot(1, "X", "a"), slot(1, "Condition", "c", "d"), slot(1, "Empty"), slot(2, "Out", "é" * 90),
                 setting("sub_block", whole(12, 1)), setting("more", whole(14, 2), whole(14, 3))),
        rest=held(1, whole(1, 1) + whole(2, 0) + operator("relu")) + held(4, whole(1, 2_006_001)),
    )  # fmt: skip
    (loop,), (inner,) = found.blocks
    assert (loop.type, loop.inputs, loop.outputs) == (
        "while", {"X": ["a"], "Condition": ["c", "d"], "Empty": []}, {"Out": ["é" * 90]},
    )  # fmt: skip
    assert loop.blocks == (1, 2, 3)
    assert inner.type == "relu"
    assert found.version == "2.6.1"


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        ((whole(3, -1),), -1),
        ((varint(4 << 3 | 5) + struct.pack("<f", 0.5),), 0.5),
        ((held(5, "NCHW"),), "NCHW"),
        ((whole(6, 1), whole(6, -2)), [1, -2]),
        ((held(6, b"\x01\x02"),), [1, 2]),
        ((varint(7 << 3 | 5) + struct.pack("<f", 1.5), varint(7 << 3 | 5) + struct.pack("<f", 2)), [1.5, 2.0]),
        ((held(8, "a"), held(8, "b")), ["a", "b"]),
        ((whole(10, 1),), True),
        ((whole(11, 1), whole(11, 0)), [True, False]),
        ((whole(13, 1 << 40),), 1 << 40),
        ((whole(15, 1 << 40),), [1 << 40]),
        ((varint(16 << 3 | 1) + struct.pack("<d", 0.1),), [0.1]),
        ((varint(19 << 3 | 1) + struct.pack("<d", 0.1),), 0.1),
    ],
)
def test_settings_of_every_type(values: tuple[bytes, ...], answer: Any) -> None:
    """The kinds of Attr that say something of the model, as a value or a list; the same for short and long ones."""
    long = "n" * 300
    found = read(operator("any", setting("short", *values), setting(long, *values))).blocks[0][0].attributes
    assert found == {"short": answer, long: answer}


def test_what_only_says_how_a_program_was_made_is_left_out() -> None:
    """Call stacks, namescopes and devices are no settings of the model."""
    noise = [setting(name, held(8, "file.py")) for name in ("op_callstack", "op_namescope", "op_device", "op_role_var")]
    assert read(operator("relu", *noise, setting("alpha", whole(3, 1)))).blocks[0][0].attributes == {"alpha": 1}


def test_a_large_program_is_read_like_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks, without being held: the same variables and operators."""
    parts = [variable(f"w{n}", tensor(FLOAT32, 2, n), whole(3, 1)) for n in range(300)]
    parts += [operator("mul", slot(1, "X", f"w{n}"), setting("s", held(5, "x" * n))) for n in range(300)]
    small = read(*parts)
    monkeypatch.setattr(paddle_program, "_WHOLE", 0)
    assert read(*parts) == small


def test_recognised_by_its_first_block() -> None:
    """Block 0 without a parent; no other block, no other message."""
    assert looks_like_program(source_of(held(1, ROOT)))
    assert looks_like_program(source_of(held(1, ROOT + variable("x" * 200, tensor(FLOAT32)))))
    for other in (b"", held(1, whole(1, 1) + whole(2, 0)), held(2, ROOT), whole(1, 3)):
        assert not looks_like_program(source_of(other))


@pytest.mark.parametrize(
    "data",
    [b"", held(4, whole(1, 1)), held(1, ROOT + held(3, held(1, "x") + held(2, b"\x08"))),
     held(1, ROOT + held(3, whole(1, 1))), held(1, ROOT + operator("x", held(1, b"\x0a\x05a"))), whole(1, 1)],
)  # fmt: skip
def test_what_is_broken_is_refused(data: bytes) -> None:
    """No block, a type cut within, a number for a name."""
    with pytest.raises(InputError):
        program(source_of(data), Limits())


def test_limits_hold() -> None:
    """More operators or variables than may be described."""
    with pytest.raises(LimitExceeded):
        program(source_of(held(1, ROOT + operator("relu") * 4)), Limits(layers=3))
    many = b"".join(variable(f"v{n}", tensor(FLOAT32)) for n in range(9))
    with pytest.raises(LimitExceeded):
        program(source_of(held(1, ROOT + many)), Limits(weights=2))
    with pytest.raises(MalformedFile):
        program(source_of(b""), Limits())
