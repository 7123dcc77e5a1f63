"""Attacks by damage and by number: rows H9 (mutants of HDF5) and S2 (safetensors with too much in it)."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

from tests.attacks.frame import Attacks, Outcome, Trap, harmless, refused
from tests.attacks.keras_files import archive, dense, legacy, sequential, weights

ATTACKS = Attacks()
HARMLESS = (3, 10)
"""Mutants whose changes hit nothing that is read."""
SAFETENSORS = "https://github.com/huggingface/safetensors"


def changed(data: bytes, seed: int, places: int, within: slice) -> bytes:
    """`data` with some of its bytes drawn anew, the same in every run."""
    draw = random.Random(seed)  # noqa: S311 - an attack, not a secret
    found = bytearray(data)
    first, last, _ = within.indices(len(data))
    for _ in range(places):
        found[draw.randrange(first, last)] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
    return bytes(found)


def mutant(number: int, seed: int, expects: Outcome, *, old: bool = False) -> None:
    """A file of weights, or a whole legacy model, some bytes of whose structure are others."""

    def make(_trap: Trap) -> bytes:
        made = legacy(sequential(dense())) if old else weights()
        mutated = changed(made, seed, 24, slice(8, 2048))
        return mutated if old else archive(sequential(dense()), mutated)

    idea = "Bytes of the file's structure are drawn anew: addresses, sizes, types and counts lie."
    ATTACKS.add(f"H9-{number:02}", f"mutant_{seed}", idea, "CVE-2025-6858", make, expects)


for at in range(1, 13):
    mutant(at, at, harmless() if at in HARMLESS else refused("malformed_file"))
for at in range(1, 10):
    mutant(20 + at, at, refused("malformed_file"), old=True)


def many(count: int, size: int = 0, name: str = "{}") -> bytes:
    """A safetensors file of so many tensors of `size` bytes each, one after the other."""
    places = {
        name.format(at): {"dtype": "U8", "shape": [size], "data_offsets": [at * size, (at + 1) * size]}
        for at in range(count)
    }
    head = json.dumps(places, separators=(",", ":")).encode()
    return struct.pack("<Q", len(head)) + head + bytes(count * size)


def header(text: bytes) -> bytes:
    """A safetensors file of this header and nothing else."""
    return struct.pack("<Q", len(text)) + text


def crowded(number: int, name: str, idea: str, make: Any, expects: Outcome) -> None:
    """A header that costs more than it says."""
    ATTACKS.add(f"S2-{number:02}", name, idea, SAFETENSORS, lambda _trap: make(), expects)


crowded(
    1,
    "six_hundred_thousand_empty_tensors",
    "A reader that makes an object of each needs a gigabyte.",
    lambda: header(
        b"{" + b",".join(b'"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % at for at in range(600_000)) + b"}"
    ),
    refused("limit_exceeded", "weights"),
)
crowded(2, "as_many_as_fit_a_megabyte", "Fifteen thousand of them.", lambda: many(15_000, 4), harmless())
crowded(
    3,
    "a_name_twice",
    "The library takes the last, others the first.",
    lambda: header(
        b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"I8","shape":[0],"data_offsets":[0,0]}}'
    ),
    refused("malformed_json"),
)
crowded(
    4,
    "a_key_of_a_tensor_twice",
    "One tensor with two places.",
    lambda: header(b'{"a":{"dtype":"U8","shape":[0],"shape":[9],"data_offsets":[0,0]}}'),
    refused("malformed_json"),
)
crowded(
    5,
    "a_header_of_spaces",
    "Almost a megabyte of nothing.",
    lambda: header(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' + b" " * 900_000),
    harmless(),
)
crowded(
    6,
    "metadata_of_a_megabyte",
    "Text that a viewer would show.",
    lambda: header(json.dumps({"__metadata__": {"note": "x" * 900_000}}).encode()),
    harmless(),
)
crowded(
    7,
    "ten_thousand_levels_of_names",
    "Each step of a name could become a layer of its own.",
    lambda: many(1, 0, ".".join("a" * 10_000)),
    harmless(),
)
crowded(
    8,
    "names_that_become_a_staircase",
    "A thousand names, each one level deeper than the last: a million paths if each is spelled out.",
    lambda: header(
        json.dumps(
            {".".join("b" * at): {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for at in range(1, 800)}
        ).encode()
    ),
    harmless(),
)
