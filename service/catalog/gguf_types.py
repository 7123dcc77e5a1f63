"""ggml's element types: how many elements a block has and how many bytes it takes; knows no file and no model.

Source: ggml.h (`ggml_type`), ggml-common.h (the block structures) and, for `FILE_TYPES`, llama.h (`llama_ftype`).
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import NamedTuple


class BlockType(NamedTuple):
    """One element type: `size` bytes hold `elements` neighbours of a row. `raw`: plain numbers, not blocks."""

    name: str
    elements: int
    size: int
    raw: bool = False


TYPES = MappingProxyType(
    {
        0: BlockType("float32", 1, 4, raw=True), 1: BlockType("float16", 1, 2, raw=True),
        2: BlockType("q4_0", 32, 18), 3: BlockType("q4_1", 32, 20),
        6: BlockType("q5_0", 32, 22), 7: BlockType("q5_1", 32, 24),
        8: BlockType("q8_0", 32, 34), 9: BlockType("q8_1", 32, 40),
        10: BlockType("q2_k", 256, 84), 11: BlockType("q3_k", 256, 110), 12: BlockType("q4_k", 256, 144),
        13: BlockType("q5_k", 256, 176), 14: BlockType("q6_k", 256, 210), 15: BlockType("q8_k", 256, 292),
        16: BlockType("iq2_xxs", 256, 66), 17: BlockType("iq2_xs", 256, 74), 18: BlockType("iq3_xxs", 256, 98),
        19: BlockType("iq1_s", 256, 50), 20: BlockType("iq4_nl", 32, 18), 21: BlockType("iq3_s", 256, 110),
        22: BlockType("iq2_s", 256, 82), 23: BlockType("iq4_xs", 256, 136),
        24: BlockType("int8", 1, 1, raw=True), 25: BlockType("int16", 1, 2, raw=True),
        26: BlockType("int32", 1, 4, raw=True), 27: BlockType("int64", 1, 8, raw=True),
        28: BlockType("float64", 1, 8, raw=True), 29: BlockType("iq1_m", 256, 56),
        30: BlockType("bfloat16", 1, 2, raw=True),
        31: BlockType("q4_0_4_4", 32, 18), 32: BlockType("q4_0_4_8", 32, 18), 33: BlockType("q4_0_8_8", 32, 18),
        34: BlockType("tq1_0", 256, 54), 35: BlockType("tq2_0", 256, 66),
        36: BlockType("iq4_nl_4_4", 32, 18), 37: BlockType("iq4_nl_4_8", 32, 18), 38: BlockType("iq4_nl_8_8", 32, 18),
        39: BlockType("mxfp4", 32, 17), 40: BlockType("nvfp4", 64, 36), 41: BlockType("q1_0", 128, 18),
    }
)  # fmt: skip
"""By the number in the file. 4 and 5 went before GGUF came; 31 to 33 and 36 to 38, rows of blocks interleaved for one
kind of processor, were written for some months of 2024."""

FILE_TYPES = MappingProxyType(
    {
        0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 4: "Q4_1, some F16", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
        11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
        19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S",
        27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 33: "Q4_0_4_4", 34: "Q4_0_4_8",
        35: "Q4_0_8_8", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4", 40: "Q1_0",
    }
)  # fmt: skip
"""What most tensors are, by `general.file_type`, as people call such a file."""


def type_name(number: int) -> str:
    """The element type as reports spell it; `ggml_type_99` for a number that is not known."""
    found = TYPES.get(number)
    return f"ggml_type_{number}" if found is None else found.name


def stored_bytes(number: int, dims: tuple[int, ...]) -> int | None:
    """Bytes of a tensor of these sizes, fastest axis first; None for an unknown type or a row of broken blocks."""
    found = TYPES.get(number)
    row = dims[0] if dims else 1
    if found is None or row % found.elements:
        return None
    return row // found.elements * found.size * math.prod(dims[1:])
