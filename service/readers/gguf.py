"""GGUF files of llama.cpp and its relatives: models, vocabularies, adapters, projectors; alone or split into parts.

Knows which files belong together. Headers only: no tensor's bytes are read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from service.catalog.gguf_model import describe_gguf
from service.catalog.gguf_parts import Part
from service.errors import InputError, MalformedFile, UnsupportedFeature
from service.formats import Format, Upload
from service.language import msg
from service.parsers.gguf import MAGIC, read_header
from service.source import Source, head
from service.tree import Model

FORMAT = Format(
    id="gguf",
    framework="ggml",
    title=msg("GGUF (llama.cpp)"),
    extensions=(".gguf",),
    reads=msg(
        "Versions 1 to 3 in both byte orders, files split into parts, all quantised types; vocabularies, adapters, "
        "projectors and importance matrices; the architecture and its hyper-parameters. From headers."
    ),
    leaves=msg(
        "Values, unless statistics or a comparison of values ask for them; those of the types iq1, iq2 and iq3, which "
        "are places in grids of ggml's own; the vocabulary, which is told by its size; the ggml formats before GGUF, "
        "which do not say what they hold."
    ),
    priority=20,
)

_PART = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf\Z", re.IGNORECASE | re.DOTALL)
_OLD = {b"lmgg": "ggml", b"fmgg": "ggmf", b"tjgg": "ggjt", b"algg": "ggla"}
"""Magic numbers of the formats before GGUF, as their bytes lie in a little-endian file."""
_OLD_VERSIONS = range(16)


def find(upload: Upload) -> Sequence[frozenset[str]]:
    """The parts of each split model, by the names that llama.cpp's tools give them."""
    groups: dict[tuple[str, str], set[str]] = {}
    for name, source in upload.parts.items():
        found = _PART.match(name.replace("\\", "/").removeprefix("./"))
        if found is not None and _is_gguf(source):
            groups.setdefault((found[1], found[3]), set()).add(name)
    return [frozenset(group) for group in groups.values()]


def accept(upload: Upload) -> bool:
    """A GGUF file, one of the formats before it, or several GGUF files that are parts of one model."""
    if not upload.parts:
        return False
    source = upload.single
    if source is not None:
        return _is_gguf(source) or _old(source) is not None
    if not all(_is_gguf(part) for part in upload.parts.values()):
        return False
    return any(len(group) == len(upload.parts) for group in find(upload)) or _say_so(upload)


def _say_so(upload: Upload) -> bool:
    """Whether all files, whatever they are called, say that they are parts of as many."""
    try:
        parts = _parts(upload)
    except InputError:
        return False
    return len({part.count for part in parts}) == 1 and parts[0].count > 1


def read(upload: Upload) -> Model:
    """The model in one file or in all its parts.

    Raises:
        TruncatedFile: A file ends within its header.
        MalformedFile: A header that cannot be.
        UnsupportedFeature: A version that is not known, or a format before GGUF.
    """
    source = upload.single
    old = None if source is None else _old(source)
    if old is not None:
        raise UnsupportedFeature(
            msg(
                "This is a {name} file, a format that GGUF took the place of in 2023: it does not say which model it "
                "holds, and only the program it was made for can tell its tensors.",
                name=old,
            ),
            offset=0,
            hint=msg("Convert it to GGUF with the tools of the program it was made for."),
        )
    return describe_gguf(FORMAT.id, _parts(upload), upload.limits)


def _parts(upload: Upload) -> list[Part]:
    if not upload.parts:
        raise MalformedFile(msg("The upload has no file."))
    several = upload.single is None
    found: list[Part] = []
    for name, source in upload.parts.items():
        short = name.replace("\\", "/").removeprefix("./")
        try:
            found.append(Part(short if several else None, source.size, read_header(source, upload.limits)))
        except InputError as error:
            raise (error.within(short) if several else error) from None
    return found


def _is_gguf(source: Source) -> bool:
    return head(source, len(MAGIC)) == MAGIC


def _old(source: Source) -> str | None:
    """The name of a format before GGUF; its magic number is all that tells it, but for a small version after it."""
    start = head(source, 8)
    name = _OLD.get(start[:4])
    if name is None or (name != "ggml" and int.from_bytes(start[4:], "little") not in _OLD_VERSIONS):
        return None
    return name
