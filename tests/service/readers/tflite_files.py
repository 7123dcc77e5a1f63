"""TensorFlow Lite files of the corpus, and hand-made ones of one operator."""

from __future__ import annotations

from typing import Any

from tests.corpus import corpus_dir
from tests.service.parsers.flatbuffers_writer import write

FULLY_CONNECTED = 9


def content(name: str) -> bytes:
    """A file of the corpus."""
    return (corpus_dir("keras_tflite") / name).read_bytes()


def made(tensors: list[dict[int, Any]], operator: dict[int, Any], *, code: dict[int, Any] | None = None,
         buffers: list[dict[int, Any]] | None = None, more: dict[int, Any] | None = None) -> bytes:  # fmt: skip
    """A model of one operator. Buffer 0 is the empty one."""
    graph = {0: tensors, 1: ("i", [0]), 2: ("i", [len(tensors) - 1]), 3: [operator], 4: "main"}
    return write(
        {0: ("I", 3), 1: [code or {3: ("i", FULLY_CONNECTED)}], 2: [graph], 3: "hand-made",
         4: [{}, *(buffers or [])], **(more or {})}, b"TFL3",
    )  # fmt: skip


def tensor(name: str, shape: list[int], kind: int = 0, buffer: int = 0, **more: Any) -> dict[int, Any]:
    """One tensor; `more` by field number after an underscore."""
    return {0: ("i", shape), 1: ("b", kind), 2: ("I", buffer), 3: name,
            **{int(key[1:]): value for key, value in more.items()}}  # fmt: skip


def dense(kind: int, buffer: dict[int, Any], **more: Any) -> bytes:
    """From x to y with one weight of 3 x 5 of a type."""
    tensors = [tensor("x", [1, 5]), tensor("w", [3, 5], kind, 1, **more), tensor("y", [1, 3])]
    return made(tensors, {0: ("I", 0), 1: ("i", [0, 1, -1]), 2: ("i", [2])}, buffers=[buffer])
