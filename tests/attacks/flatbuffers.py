"""Attacks by TensorFlow Lite's flatbuffers: row L1 of the threat catalogue."""

from __future__ import annotations

import random

from tests.attacks.frame import Attacks, Trap, refused
from tests.service.parsers.flatbuffers_writer import write

ATTACKS = Attacks()


@ATTACKS("L1-01", source="CVE-2020-15211", expects=refused("malformed_file"))
def a_tensor_of_minus_two(trap: Trap) -> bytes:
    """An operator reads a tensor before the first."""
    operator = {0: ("I", 0), 1: ("i", [-2]), 2: ("i", [0])}
    tensor = {0: ("i", [1]), 1: ("b", 0), 2: ("I", 0), 3: "x"}
    return write(
        {0: ("I", 3), 1: [{0: ("b", 0)}], 2: [{0: [tensor], 1: ("i", [0]), 2: ("i", [0]), 3: [operator]}], 4: [{}]},
        b"TFL3",
    )


def flat(number: int, seed: int, code: str) -> None:
    """A model whose offsets were changed at random."""

    def make(_trap: Trap) -> bytes:
        tensor = {0: ("i", [4, 4]), 1: ("b", 0), 2: ("I", 0), 3: "x"}
        data = bytearray(write({0: ("I", 3), 1: [{0: ("b", 0)}], 2: [{0: [tensor], 3: []}], 4: [{}]}, b"TFL3"))
        draw = random.Random(seed)  # noqa: S311 - the same attack in every run
        for _ in range(12):
            data[draw.randrange(8, len(data))] = draw.randrange(256)
        return bytes(data)

    ATTACKS.add(
        f"L1-{number:02}",
        f"offsets_changed_{seed}",
        "Offsets lead in circles, backwards and out of the file.",
        "CVE-2022-23558",
        make,
        refused(code),
    )


flat(10, 1, "truncated_file")
flat(11, 2, "malformed_file")
flat(12, 3, "malformed_file")
