"""Attacks by headers of plain containers: rows S1, S2 (safetensors), G1, G2 (GGUF) and N1 (NumPy) of the catalogue."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from typing import Any

import numpy as np

from tests.attacks.frame import Attacks, Trap, harmless, named, noted, refused
from tests.service.parsers.ggufs import Tensor, Writer
from tests.service.parsers.pickles import call, text
from tests.service.readers.hf_uploads import entry

ATTACKS = Attacks()
SAFETENSORS = "https://github.com/huggingface/safetensors#format"
LLAMA = [("general.architecture", "string", "llama")]


def header(document: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file; `document` as JSON, or as the bytes that it is."""
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def headed(number: int, name: str, idea: str, make: Any, expects: Any) -> None:
    """One safetensors file."""
    ATTACKS.add(f"S1-{number:02}", name, idea, SAFETENSORS, lambda _trap: make(), expects)


GOOD = {"a": entry(0, 16, [2, 2])}
headed(
    1,
    "length_of_2_to_the_63",
    "The header is said to be longer than any file.",
    lambda: header(GOOD, bytes(16), 2**63),
    refused("malformed_file"),
)
headed(
    2,
    "length_beyond_the_file",
    "The header is said to be longer than the file.",
    lambda: header(GOOD, b"", 10_000),
    refused("truncated_file"),
)
headed(
    3,
    "overlapping_tensors",
    "Two tensors share bytes.",
    lambda: header({"a": entry(0, 16, [4]), "b": entry(8, 24, [4])}, bytes(24)),
    noted("data_overlap"),
)
headed(
    4,
    "hole_between_tensors",
    "Bytes that no tensor owns, where something can hide.",
    lambda: header({"a": entry(0, 16, [4]), "b": entry(4096, 4112, [4])}, bytes(4112)),
    noted("data_hole"),
)
headed(
    5,
    "offsets_backwards",
    "The end stands before the beginning.",
    lambda: header({"a": entry(16, 0, [4])}, bytes(16)),
    refused("malformed_file"),
)
headed(
    6,
    "offset_overflows",
    "Begin and end are beyond 64 bits.",
    lambda: header({"a": entry(2**64, 2**64 + 16, [4])}, bytes(16)),
    refused("malformed_file"),
)
headed(
    7,
    "shape_overflows",
    "The sizes multiply to zero modulo 2^64.",
    lambda: header({"a": entry(0, 16, [2**32, 2**32])}, bytes(16)),
    noted("data_wrong_size"),
)
headed(
    8,
    "negative_size",
    "A size below zero.",
    lambda: header({"a": entry(0, 16, [-2, -2])}, bytes(16)),
    refused("malformed_file"),
)
headed(
    9,
    "a_name_twice",
    "Two tensors of one name: the library keeps the last.",
    lambda: header(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        bytes(8),
    ),
    refused("malformed_json"),
)
headed(
    10,
    "bytes_after_the_last_tensor",
    "A second file behind the first.",
    lambda: header(GOOD, bytes(16) + b"PK\x03\x04" + bytes(100)),
    noted("data_hole"),
)
headed(
    11,
    "nested_metadata",
    "Metadata as deep as a parser's stack.",
    lambda: header(b'{"__metadata__":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}"),
    refused("limit_exceeded", "json_depth"),
)
headed(
    12,
    "unknown_type",
    "An element type that does not exist.",
    lambda: header({"a": {**entry(0, 16, [4]), "dtype": "F1024"}}, bytes(16)),
    harmless(),
)
headed(13, "not_json", "The header is not JSON.", lambda: header(b"{" + b"x" * 100), refused("unknown_format"))
headed(
    14,
    "a_huge_number",
    "A size of a hundred thousand digits.",
    lambda: header(json.dumps(GOOD).replace("[2, 2]", f"[{'9' * 100_000}]").encode(), bytes(16)),
    refused("malformed_json"),
)
headed(
    15,
    "fifteen_thousand_empty_tensors",
    "As many tensors without elements as fit into a megabyte.",
    lambda: header({str(number): entry(0, 0, [0]) for number in range(15_000)}),
    harmless(),
)
headed(
    16,
    "names_that_share_a_long_beginning",
    "Thousands of names, each as deep as names can be.",
    lambda: header({f"{'a.' * 100}{number}": entry(0, 0, [0]) for number in range(3_000)}),
    harmless(),
)
headed(
    17,
    "names_with_control_characters",
    "Names that terminals and tables would act on.",
    lambda: header({"\x1b[2J\r\n=cmd|' /C calc'!A0</script>": entry(0, 0, [0]), "\u202egnp": entry(0, 0, [0])}),
    harmless(),
)


def gguf(number: int, name: str, idea: str, make: Any, expects: Any, source: str = "CVE-2025-53630") -> None:
    """One GGUF file."""
    ATTACKS.add(f"G1-{number:02}", name, idea, source, lambda _trap: make(), expects)


WRITER = Writer()
gguf(
    1,
    "keys_without_end",
    "2^60 keys in sixty bytes.",
    lambda: WRITER.header(counts=(0, 2**60)),
    refused("malformed_file"),
    "https://github.com/ggml-org/llama.cpp/issues/27203",
)
gguf(
    2,
    "tensors_without_end",
    "2^60 tensors in sixty bytes.",
    lambda: WRITER.header(LLAMA, counts=(2**60, 1)),
    refused("malformed_file"),
)
gguf(
    3,
    "a_key_of_2_to_the_63_bytes",
    "A name longer than memory.",
    lambda: WRITER.header(counts=(0, 1)) + struct.pack("<Q", 2**63),
    refused("malformed_file"),
    "CVE-2026-27940",
)
gguf(
    4,
    "dimensions_without_end",
    "A tensor of four billion dimensions.",
    lambda: WRITER.header(LLAMA, counts=(1, 1)) + WRITER.string("t") + struct.pack("<I", 2**32 - 1) + bytes(64),
    refused("malformed_file"),
)
gguf(
    5,
    "sizes_that_overflow",
    "Their product is small modulo 2^64.",
    lambda: WRITER.file(LLAMA, [Tensor("t", (2**33, 2**33))], 64),
    refused("malformed_file"),
    "CVE-2026-33298",
)
gguf(
    6,
    "alignment_of_zero",
    "Whoever divides by it fails.",
    lambda: WRITER.file([*LLAMA, ("general.alignment", "uint32", 0)], [Tensor("t")], 128),
    refused("malformed_file"),
)
gguf(
    7,
    "alignment_that_is_no_power",
    "Thirteen.",
    lambda: WRITER.file([*LLAMA, ("general.alignment", "uint32", 13)], [Tensor("t")], 128),
    refused("malformed_file"),
)
gguf(
    8,
    "an_array_of_arrays",
    "Nested as deep as the file is long.",
    lambda: (
        WRITER.header(counts=(0, 1))
        + WRITER.string("k")
        + struct.pack("<I", 9)
        + struct.pack("<IQ", 9, 1) * 50_000
        + bytes(64)
    ),
    refused("malformed_file"),
)
gguf(
    9,
    "an_array_of_2_to_the_40_booleans",
    "The reference reader makes an object of each.",
    lambda: WRITER.header(counts=(0, 1)) + WRITER.string("k") + struct.pack("<IIQ", 9, 7, 2**40),
    refused("truncated_file"),
    "https://github.com/ggml-org/llama.cpp/issues/25378",
)
gguf(
    10,
    "a_tensor_twice",
    "Two of one name.",
    lambda: WRITER.file(LLAMA, [Tensor("t"), Tensor("t")], 128),
    noted("gguf_doubled_tensor"),
)
gguf(
    11,
    "a_key_twice",
    "Two values of one key.",
    lambda: WRITER.file([*LLAMA, *LLAMA], [Tensor("t")], 128),
    noted("gguf_doubled_key"),
)
gguf(
    12,
    "an_offset_beyond_the_end",
    "Data that are not there: reading them leaked memory.",
    lambda: WRITER.file(LLAMA, [Tensor("t", (32,), 0, 2**62)], 128),
    harmless(complete=False),
    "CVE-2026-7482",
)
gguf(
    13,
    "data_cut_off",
    "The tensor is larger than what follows.",
    lambda: WRITER.file(LLAMA, [Tensor("t", (1 << 20,))], 128),
    harmless(complete=False),
    "CVE-2026-7482",
)
gguf(
    14,
    "an_unknown_type",
    "A quantization that does not exist.",
    lambda: WRITER.file(LLAMA, [Tensor("t", (32,), 9999)], 128),
    harmless(),
)
gguf(
    15, "a_size_of_zero", "Whoever divides by it fails.", lambda: WRITER.file(LLAMA, [Tensor("t", (0,))], 0), harmless()
)
gguf(
    16,
    "twenty_thousand_tensors",
    "As many as fit into a megabyte.",
    lambda: WRITER.file(LLAMA, [Tensor(str(number), (0,)) for number in range(20_000)], 0),
    harmless(),
)


@ATTACKS("G2-01", source="CVE-2024-34359", expects=named("gguf_chat_template", "critical", "tokenizer.chat_template"))
def template_that_leaves_the_sandbox(trap: Trap) -> bytes:
    """A chat template is a program, and its loader ran it."""
    program = "{% for c in ''.__class__.__mro__[1].__subclasses__() %}{{ c }}{% endfor %}"
    return WRITER.file([*LLAMA, ("tokenizer.chat_template", "string", program)], [Tensor("t")], 128)


@ATTACKS(
    "G2-02", source="CVE-2026-5760", expects=named("gguf_chat_template", "critical", "tokenizer.chat_template.tool_use")
)
def second_template_in_disguise(trap: Trap) -> bytes:
    """Not the default template, and the name of the attribute in pieces and escapes."""
    program = "{{ ''['\\x5f\\x5fcl' ~ 'ass__'] }}"
    return WRITER.file([*LLAMA, ("tokenizer.chat_template.tool_use", "string", program)], [Tensor("t")], 128)


def npy(head: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """A NumPy file with this header."""
    raw = head.encode()
    size = struct.pack("<H" if version[0] == 1 else "<I", len(raw))
    return b"\x93NUMPY" + version + size + raw + data


def array(number: int, name: str, idea: str, make: Any, expects: Any, source: str = "CVE-2019-6446") -> None:
    """One NumPy file."""
    ATTACKS.add(f"N1-{number:02}", name, idea, source, make, expects)


def plain(descr: str, shape: str) -> str:
    """A header as NumPy writes it."""
    return f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"


def _archived(trap: Trap) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        honest = io.BytesIO()
        np.save(honest, np.ones(4, "f4"))
        file.writestr("honest.npy", honest.getvalue())
        evil = b"\x80\x02" + call("os", "system", text(trap.command)) + b"."
        file.writestr("evil.npy", npy(plain("|O", "(1,)"), evil))
    return out.getvalue()


array(
    1,
    "objects",
    "An array of objects is a pickle.",
    lambda trap: npy(plain("|O", "(1,)"), b"\x80\x02" + call("os", "system", text(trap.command)) + b"."),
    named("pickle_global", "critical", "@"),
)
array(
    2,
    "shape_of_10_to_the_18",
    "More elements than memory.",
    lambda _: npy(plain("<f4", "(10**18,)")),
    refused("malformed_file"),
)
array(
    3,
    "shape_is_huge",
    "Sizes that multiply beyond all bounds.",
    lambda _: npy(plain("<f4", f"({2**62}, {2**62}, {2**62})")),
    refused("malformed_file"),
)
array(
    4,
    "shape_is_negative",
    "Minus one means: as many as there are.",
    lambda _: npy(plain("<f4", "(-1,)")),
    refused("malformed_file"),
)
array(
    5,
    "header_is_a_program",
    "Whoever evaluates the header runs it.",
    lambda trap: npy(f"__import__('os').system({trap.command!r})\n"),
    refused("malformed_file"),
)
array(
    6,
    "header_is_deep",
    "Brackets as deep as a parser's stack.",
    lambda _: npy("(" * 60_000 + ")" * 5_000 + "\n", b"", b"\x02\x00"),
    refused("malformed_file"),
)
array(
    7,
    "header_is_longer_than_the_file",
    "Four gigabytes of header are announced.",
    lambda _: b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b"{}",
    refused("limit_exceeded", "npy_header"),
)
array(
    8,
    "archive_with_objects",
    "One of an archive's arrays is a pickle.",
    _archived,
    named("pickle_global", "critical", "evil.npy"),
)
array(
    9,
    "record_of_objects",
    "A field of a record is a pickle.",
    lambda trap: npy(
        "{'descr': [('a', '<f4'), ('b', '|O')], 'fortran_order': False, 'shape': (1,), }\n",
        b"\x80\x02" + call("os", "system", text(trap.command)) + b".",
    ),
    named("pickle_global", "critical", "@"),
)
