"""What is wrong with a GGUF model: parts, bytes, names and statements that do not fit; describes no tensor."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from service.catalog.gguf_parts import Held, Part
from service.catalog.gguf_types import TYPES, type_name
from service.catalog.integrity import Extent, check_extents, declared_differs, listed, truncated
from service.language import Message, msg, msgn
from service.parsers.gguf import MAX_DIMENSIONS, Summary, Value
from service.plain import text, whole
from service.tree import Finding

MAX_NAME = 63
"""Bytes of a tensor's name that llama.cpp has room for (GGML_MAX_NAME with its closing zero)."""
_BLOCK = re.compile(r"blk\.(\d{1,9})\.")
_LISTED = 10


@dataclass(frozen=True, slots=True)
class Checked:
    """Findings, whether everything is there, and what to say where it is not."""

    findings: tuple[Finding, ...] = ()
    complete: bool = True
    notes: tuple[Message, ...] = ()


# Bytes


def check_bytes(parts: Sequence[Part], held: Sequence[Held]) -> Checked:
    """Whether each tensor's bytes are there, alone and where they should be."""
    by_part: dict[int, list[Held]] = {id(part): [] for part in parts}
    for one in held:
        by_part[id(one.part)].append(one)
    checked = [_check_part(part, by_part[id(part)]) for part in parts]
    return Checked(
        tuple(finding for one in checked for finding in one.findings),
        all(one.complete for one in checked),
        tuple(note for one in checked for note in one.notes),
    )


def _check_part(part: Part, held: Sequence[Held]) -> Checked:
    extents = [Extent(one.info.name, one.begin, one.begin + (one.bytes or 0)) for one in held]
    alignment = part.header.alignment
    end = max((extent.end for extent in extents), default=0)
    in_a_row = part.header.data + sum(-(-(one.bytes or 0) // alignment) * alignment for one in held)
    cut = part.size < end <= in_a_row
    region = [Extent(part.name or "GGUF header", 0, part.header.data), *extents]
    findings = check_extents(region, end if cut else max(part.size, part.header.data), member=part.name,
                             alignment=alignment)  # fmt: skip
    absent = sum(extent.end > part.size and extent.end > extent.begin for extent in extents)
    if cut:
        findings.insert(0, truncated(end - part.header.data, max(0, part.size - part.header.data), part.name))
    return Checked(tuple(findings), not absent, (_absent(part, absent, len(held)),) if absent else ())


def _absent(part: Part, absent: int, count: int) -> Message:
    if part.size <= part.header.data:
        return msg("Of {file} only the header is there: names, shapes and types are told, values cannot be.",
                   file=_file(part))  # fmt: skip
    return msg("The data of {absent} of {count} tensors is missing or cut: {file} ends at byte {size}.",
               file=_file(part), size=part.size, absent=absent, count=count)  # fmt: skip


def _file(part: Part) -> Message | str:
    return msg("the file") if part.name is None else text(part.name, 200)


# Single tensors and keys


def check_tensors(held: Sequence[Held]) -> list[Finding]:
    """Descriptions that ggml would refuse, though they can be read."""
    found: dict[str, list[Finding]] = {}
    for finding in (finding for one in held for finding in _odd(one)):
        found.setdefault(finding.rule, []).append(finding)
    return [finding for rule, findings in found.items() for finding in listed(rule, findings)]


def _odd(one: Held) -> Iterator[Finding]:
    info, kind = one.info, TYPES.get(one.info.type)
    aligned = not info.offset % one.part.header.alignment
    short = len(info.name.encode("utf-8", "replace")) <= MAX_NAME
    if one.exact and aligned and short and len(info.dims) <= MAX_DIMENSIONS:
        return  # what nearly every tensor is: nothing to say, and nothing more to compute
    name = text(info.name, 200)
    if len(info.dims) > MAX_DIMENSIONS:
        yield _finding("gguf_axes", name, msg("{name} has {n} axes; ggml allows 4.", name=name, n=len(info.dims)))
    if not short:
        yield _finding("gguf_long_name", name, msg("The name {name} is longer than the 63 bytes of ggml.", name=name))
    if not aligned:
        yield _finding("gguf_misaligned", name, msg(
            "{name} begins at byte {offset} of the data, which is no multiple of the alignment {alignment}.",
            name=name, offset=info.offset, alignment=one.part.header.alignment,
        ))  # fmt: skip
    if kind is not None and not one.exact:
        yield _finding("gguf_broken_block", name, msg(
            "{name} has rows of {row} elements, which blocks of {block} ({dtype}) do not fill.",
            name=name, row=info.dims[0] if info.dims else 1, block=kind.elements, dtype=kind.name,
        ))  # fmt: skip


def _finding(rule: str, path: str | None, what: Message) -> Finding:
    return Finding(rule=rule, severity="high", path=path, what=what)


def check_names(parts: Sequence[Part], held: Sequence[Held]) -> list[Finding]:
    """Tensors and keys that are listed more than once."""
    times = Counter(one.info.name for one in held)
    tensors = [
        _finding("gguf_doubled_tensor", text(name),
                 msg("{name} is listed {n} times; the first is described.", name=text(name, 200), n=count))
        for name, count in times.items() if count > 1
    ]  # fmt: skip
    keys = [
        _finding("gguf_doubled_key", None,
                 msg("The metadata key {key} occurs more than once; the first value is told.", key=text(key, 200)))
        for part in parts for key in part.header.doubled
    ]  # fmt: skip
    return [*listed("gguf_doubled_tensor", tensors), *listed("gguf_doubled_key", keys)]


def unknown_types(held: Iterable[Held]) -> tuple[Message, ...]:
    """A note on types that are not known here."""
    numbers = sorted({one.info.type for one in held if one.info.type not in TYPES})
    if not numbers:
        return ()
    return (
        msg(
            "Element types of numbers {types} are not known here: the size of such a tensor is the room it has in the "
            "file, padding included.",
            types=tuple(str(number) for number in numbers[:_LISTED]),
        ),
    )


# Parts


def check_parts(parts: Sequence[Part], held: Sequence[Held], metadata: Mapping[str, Value]) -> Checked:
    """Whether all parts of a split model are there, each once."""
    count = max(part.count for part in parts)
    times = Counter(part.number for part in parts)
    absent = list(islice((number for number in range(count) if number not in times), _LISTED))
    findings = [
        _finding("gguf_split", None, msg("Part {number} of {count} is there {n} times.", number=number + 1, count=count,
                                         n=n))
        for number, n in times.items() if n > 1
    ]  # fmt: skip
    findings.extend(
        _finding("gguf_split", part.name, msg("{file} is part {number} of {own}; another says that there are {count}.",
                                              file=_file(part), number=part.number + 1, own=part.count, count=count))
        for part in parts if part.count != count
    )  # fmt: skip
    declared = whole(metadata.get("split.tensors.count"))
    if not absent:
        if declared is not None and declared != len(held):
            findings.append(declared_differs(msg("Tensors of all parts"), declared, len(held), severity="high"))
        return Checked(tuple(findings))
    missing = count - len(times)
    return Checked(tuple(findings), False, (_missing(absent, missing, count), *_of_tensors(declared, len(held))))


def _missing(absent: Sequence[int], missing: int, count: int) -> Message:
    numbers: list[str] = [str(number + 1) for number in absent]
    if missing > len(numbers):
        numbers.append("…")
    return msgn(
        "The model is split into {count} files, and part {numbers} is not in the upload.",
        "The model is split into {count} files, and parts {numbers} are not in the upload.",
        n=missing, count=count, numbers=tuple(numbers),
    )  # fmt: skip


def _of_tensors(declared: int | None, counted: int) -> tuple[Message, ...]:
    if declared is None:
        return ()
    return (msg("{counted} of {declared} tensors are described.", counted=counted, declared=declared),)


# Statements


def check_declared(metadata: Mapping[str, Value], held: Sequence[Held]) -> Iterator[Finding]:
    """What the metadata says of the tensors against the tensors; for whole models."""
    architecture = metadata.get("general.architecture")
    if not held or not isinstance(architecture, str):
        return
    shapes = {one.info.name: one.shape for one in held}
    blocks = {int(found[1]) for name in shapes if (found := _BLOCK.match(name))}
    embedding = shapes.get("token_embd.weight", ())
    statements = (
        (f"{architecture}.block_count", max(blocks) + 1 if blocks else None),
        (f"{architecture}.embedding_length", embedding[-1] if len(embedding) == 2 else None),
        (f"{architecture}.vocab_size", embedding[0] if len(embedding) == 2 else None),
        ("tokenizer.ggml.tokens", embedding[0] if len(embedding) == 2 else None),
        ("general.parameter_count", _elements(held)),
    )
    for key, counted in statements:
        declared = _declared(metadata.get(key))
        if declared is not None and counted is not None and declared != counted:
            yield declared_differs(msg("{key} of the metadata", key=text(key, 200)), declared, counted)
    absent = sorted(set(range(min(max(blocks, default=-1) + 1, len(shapes) + 1))) - blocks)
    if absent:
        yield _finding("gguf_blocks", None, msg(
            "There are tensors of block {last}, but none of block {absent}.", last=max(blocks), absent=absent[0],
        ))  # fmt: skip


def _declared(value: Value | None) -> int | None:
    if isinstance(value, Summary):
        return value.length
    return len(value) if isinstance(value, tuple) else whole(value)


def _elements(held: Iterable[Held]) -> int:
    return sum(math.prod(one.shape) for one in held)


def dtype_of(one: Held) -> str:
    """The element type as reports spell it."""
    return type_name(one.info.type)
