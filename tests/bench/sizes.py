"""What a model's size costs: a file of 5 GB, and 1,000 to 100,000 tensors.

The large files are sparse: headers as real ones have them, and nothing where the values would be. They are handed to a
confined worker as descriptors, as after an upload; the small ones go over HTTP, so that the end-to-end time holds
uploading, reading, storing and presenting.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from service import config
from service.jobs.analysis import Work, analyse
from service.jobs.records import Part
from service.sandbox.launch import running
from service.tree import Provenance
from tests.corpus import CACHE

COUNTS = (1_000, 10_000, 100_000)
_LLAMA = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
          "mlp.up_proj", "mlp.down_proj", "input_layernorm", "post_attention_layernorm")  # fmt: skip
_GGML = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down", "attn_norm", "ffn_norm")
_WORDS = 32_000
_Q4_K, _F32 = 12, 0

Tensors = Sequence[tuple[str, tuple[int, ...]]]


def tensors(names: tuple[str, ...], stem: str, blocks: int, hidden: int, inner: int) -> Tensors:
    """Names and shapes of a decoder's blocks."""
    whole, wide = (hidden, hidden), (inner, hidden)
    shapes = (whole, whole, whole, whole, wide, wide, wide[::-1], (hidden,), (hidden,))
    return [
        (f"{stem}.{block}.{name}.weight", shape)
        for block in range(blocks)
        for name, shape in zip(names, shapes, strict=True)
    ]


def write_safetensors(path: Path, held: Tensors) -> None:
    """A file of bfloat16 arrays without their values."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in held:
        end = at + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)


def write_gguf(path: Path, held: Tensors) -> None:
    """A file of q4_k matrices and float32 vectors without their values, with a vocabulary of 32,000 words."""
    words = b"".join(_text(f"▁word{number}") for number in range(_WORDS))
    keys = (
        _text("general.architecture") + struct.pack("<I", 8) + _text("llama"),
        _text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, _WORDS) + words,
        _text("tokenizer.ggml.scores") + struct.pack("<IIQ", 9, 6, _WORDS) + bytes(4 * _WORDS),
    )
    parts, at = [b"GGUF" + struct.pack("<IQQ", 3, len(held), len(keys)), *keys], 0
    for name, shape in held:
        kind, size = (_F32, 4 * shape[0]) if len(shape) == 1 else (_Q4_K, math.prod(shape) // 256 * 144)
        sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape[::-1])
        parts.append(_text(name) + sizes + struct.pack("<IQ", kind, at))
        at += -(-size // 32) * 32
    head = b"".join(parts)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(-(-len(head) // 32) * 32 + at)


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _large(folder: Path) -> Iterator[tuple[str, Path]]:
    for title, write, held in (
        ("5.4 GB safetensors", write_safetensors,
         [("model.embed_tokens.weight", (_WORDS, 2560)), *tensors(_LLAMA, "model.layers", 32, 2560, 6912),
          ("model.norm.weight", (2560,)), ("lm_head.weight", (_WORDS, 2560))]),
        ("5.1 GB GGUF", write_gguf,
         [("token_embd.weight", (_WORDS, 4096)), *tensors(_GGML, "blk", 36, 4096, 14_336),
          ("output_norm.weight", (4096,)), ("output.weight", (_WORDS, 4096))]),
    ):  # fmt: skip
        path = folder / title.rpartition(" ")[2].lower()
        write(path, held)
        yield title, path


def large_table(rounds: int) -> Iterator[str]:
    """The table of the 5 GB files, in the worker."""
    yield "| file | bytes | tensors | in the worker (ms) | read (KB) | worker peak (MB) |"
    yield "|---|---|---|---|---|---|"
    settings = msgspec.structs.replace(config.load(), warm_frameworks=False)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=CACHE.parent)))
        own = Path(stack.enter_context(tempfile.TemporaryDirectory()))  # its path is short, as a socket's must be
        sandbox = stack.enter_context(running(settings, own))
        for title, path in _large(folder):
            size = path.stat().st_size
            part = Part(name=path.name, bytes=size, blake3="0" * 64, sha256="0" * 64)
            with path.open("rb") as file:
                work = Work(parts=(part,), descriptors=(file.fileno(),), limits=settings.limits)
                reports = [analyse(sandbox, work) for _ in range(rounds)]
            count = sum(len(layer.weights) for layer in reports[0].layers)
            yield f"| {title} | {size:,} | {count} | {_figures([report.provenance for report in reports])} |"


def _figures(told: Sequence[Provenance]) -> str:
    seconds = statistics.median(one.seconds for one in told)
    peak = max(one.peak_memory_bytes or 0 for one in told)
    return f"{1000 * seconds:.1f} | {(told[0].bytes_read or 0) / 1e3:.0f} | {peak / 1e6:.0f}"


def sizes_table(post: Callable[[Path], dict[str, Any]], rounds: int) -> Iterator[str]:
    """The table of 1,000 to 100,000 tensors, over HTTP; ratios compare a tensor's share with that of the first line."""
    columns = ("tensors", "in the worker (s)", "per tensor (µs)", "ratio", "end to end (s)", "per tensor (µs)", "ratio",
               "read (KB)", "worker peak (MB)")  # fmt: skip
    yield f"| {' | '.join(columns)} |"
    yield "|---|---|---|---|---|---|---|---|---|"
    first: tuple[float, float] | None = None
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as folder:
        for count in COUNTS:
            path = Path(folder) / f"{count}.safetensors"
            write_safetensors(path, tensors(_LLAMA, "model.layers", -(-count // len(_LLAMA)), 8, 24)[:count])
            whole, told = _sent(post, path, rounds)
            inside = statistics.median(one.seconds for one in told)
            shares = inside / count, whole / count
            first = first or shares
            peak = max(one.peak_memory_bytes or 0 for one in told)
            yield (
                f"| {count:,} | {inside:.3f} | {1e6 * shares[0]:.1f} | {shares[0] / first[0]:.2f} | {whole:.3f} "
                f"| {1e6 * shares[1]:.1f} | {shares[1] / first[1]:.2f} | {(told[0].bytes_read or 0) / 1e3:.0f} "
                f"| {peak / 1e6:.0f} |"
            )


def _sent(post: Callable[[Path], dict[str, Any]], path: Path, rounds: int) -> tuple[float, list[Provenance]]:
    """Median seconds of an upload and its answer, and what the answers say of the worker; each with other values."""
    seconds: list[float] = []
    told: list[Provenance] = []
    for number in range(rounds):
        with path.open("r+b") as file:
            file.seek(-8, os.SEEK_END)
            file.write(struct.pack("<Q", number + 1))
        os.sync()
        started = time.perf_counter()
        answer = post(path)
        seconds.append(time.perf_counter() - started)
        told.append(msgspec.convert(answer["report"]["provenance"], Provenance))
    return statistics.median(seconds), told
