"""A model in several files: the index that says which array is in which, and how it is held against the files.

The index is JSON, `{"metadata": {"total_size", ...}, "weight_map": {array: file}}`, the same for safetensors and
PyTorch files. Knows names; must not know how the files are read.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from service.catalog.integrity import declared_differs, listed
from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.language import Message, msg
from service.parsers import json_text
from service.plain import text, whole
from service.source import Source, head
from service.tree import Danger, Finding, Severity

_FIRST = re.compile(rb'"weight_map"\s*:\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*"[^"\\]*(\.[A-Za-z0-9]+)"')
_HEAD = 1 << 16
_SERIES = re.compile(r"(.+)-(\d{5,6})-of-(\d{5,6})(\.[A-Za-z0-9]+)")
_MAX_SERIES = 10_000
_MAX_DANGERS = 50


@dataclass(frozen=True, slots=True)
class Index:
    """What an index states: array -> file, as written, and the sums that it declares, None where it does not."""

    weight_map: Mapping[str, str]
    total_size: int | None = None
    total_parameters: int | None = None

    @property
    def files(self) -> list[str]:
        """The files that it names, in order of their names."""
        return sorted(set(self.weight_map.values()))


class _Document(msgspec.Struct):
    weight_map: msgspec.Raw = msgspec.Raw(b"")
    metadata: msgspec.Raw = msgspec.Raw(b"")


def index_ending(source: Source) -> str | None:
    """The ending of the files that an index names (`.safetensors`, `.bin`), None if the content is no index."""
    start = head(source, _HEAD)
    if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
        return None
    found = _FIRST.search(start)
    return found[1].decode().lower() if found else None


def read_index(source: Source, limits: Limits, member: str | None = None) -> Index:
    """The index in a file.

    Raises:
        MalformedJson: Not JSON, or a key that occurs twice.
        MalformedFile: An entry that is no name of a file.
        LimitExceeded: More arrays than one analysis may describe.
    """
    if source.size > limits.json_bytes:
        detail = msg(
            "The JSON has {n} bytes; {max_bytes} are read at most.", n=source.size, max_bytes=limits.json_bytes
        )
        raise LimitExceeded("json_bytes", limits.json_bytes, detail, value=source.size, member=member)
    data = source.read_at(0, source.size)
    weight_map, metadata = _quick(data) or _careful(data, limits, member)
    if len(weight_map) > limits.weights:
        detail = msg("The file holds more than {weights} tensors.", weights=limits.weights)
        raise LimitExceeded("weights", limits.weights, detail, value=len(weight_map), member=member)
    return Index(weight_map, _total(metadata.get("total_size")), _total(metadata.get("total_parameters")))


def _quick(data: bytes) -> tuple[dict[str, str], dict[str, Any]] | None:
    """The document where no key can occur twice (four quotation marks for each array), None where that is not sure."""
    try:
        document = msgspec.json.decode(data, type=_Document)
        raw = bytes(document.weight_map)
        found = msgspec.json.decode(raw, type=dict[str, str])
        metadata = msgspec.json.decode(bytes(document.metadata) or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    sure = b"\\" not in raw and raw.count(b'"') == 4 * len(found) and data.count(b'"weight_map"') == 1
    return (found, metadata) if sure and isinstance(metadata, dict) else None


def _careful(data: bytes, limits: Limits, member: str | None) -> tuple[dict[str, str], dict[str, Any]]:
    document = json_text.parse_object(data, max_bytes=limits.json_bytes, max_depth=limits.json_depth, member=member)
    weight_map, metadata = document.get("weight_map"), document.get("metadata")
    if not isinstance(weight_map, dict):
        raise MalformedFile(msg("The index has no weight_map that is an object."), member=member, pointer="weight_map")
    wrong = next((name for name, file in weight_map.items() if not isinstance(file, str)), None)
    if wrong is not None:
        raise MalformedFile(
            msg("The index does not name a file for {name}.", name=text(wrong, 200)),
            member=member,
            pointer=text(f"weight_map.{wrong}", 300),
        )
    return weight_map, metadata if isinstance(metadata, dict) else {}


def _total(value: Any) -> int | None:
    """A declared sum; older tools count truth values as eighths of a byte and write a fraction."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        value = int(value)
    found = whole(value)
    return found if found is not None and 0 <= found < 2**127 else None


# Names


def plain_path(name: str) -> str:
    """A relative name with `/` between its steps and without `./`."""
    return posixpath.normpath(name.replace("\\", "/"))


def beside(file: str, name: str) -> str:
    """The plain path of `name` as a file named `file` means it."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(plain_path(file)), name.replace("\\", "/")))


def series_of(name: str) -> tuple[str, int, int, str] | None:
    """(stem, number, how many, ending) of a file named like `model-00001-of-00003.safetensors`, else None."""
    found = _SERIES.fullmatch(name)
    if found is None:
        return None
    number, total = int(found[2]), int(found[3])
    return (found[1], number, total, found[4]) if 1 <= number <= total <= _MAX_SERIES else None


def series_names(name: str) -> list[str]:
    """All names of the series that `name` is of; itself alone where it is of none."""
    series, digits = series_of(name), _SERIES.fullmatch(name)
    if series is None or digits is None:
        return [name]
    stem, _, total, ending = series
    width = len(digits[2])
    return [f"{stem}-{number:0{width}}-of-{digits[3]}{ending}" for number in range(1, total + 1)]


def escapes(index: Index, member: str | None) -> list[Danger]:
    """Dangers of an index whose files lie outside its folder."""
    return [
        Danger(
            code="index_path_escape",
            severity="high",
            member=member,
            detail=text(name, 200),
            what=msg("The index names a file outside its own folder."),
        )
        for name in index.files
        if plain_path(name).startswith(("../", "/")) or plain_path(name) == ".." or re.match(r"[A-Za-z]:", name)
    ][:_MAX_DANGERS]


# The index against the files


def check(index: Index, held: Mapping[str, Iterable[str]], unnamed: Iterable[str]) -> list[Finding]:
    """Findings on what index and files say of each other.

    Args:
        index: The index.
        held: Names of the arrays in each file that was sent, by the name that the index has for the file.
        unnamed: Of these, the files that the index does not name.
    """
    owners: dict[str, list[str]] = {}
    for file, names in held.items():
        for name in names:
            owners.setdefault(name, []).append(file)
    wanted = index.weight_map
    found = [
        ("index_missing_shard", _missing_shards(index, held)),
        ("index_unlisted_shard", [_unlisted_shard(file) for file in unnamed]),
        ("index_missing_tensor", _missing_tensors(wanted, held, owners)),
        ("index_wrong_shard", _wrong_shards(wanted, owners)),
        ("index_doubled_tensor", [_doubled(name, files) for name, files in owners.items() if len(files) > 1]),
        ("index_unlisted_tensor", [_unlisted(name, files[0]) for name, files in owners.items() if name not in wanted]),
    ]
    return [one for rule, findings in found for one in listed(rule, findings)]


def missing_shard(file: str, arrays: int | None = None) -> Finding:
    """A file that belongs to the model and was not sent."""
    what = (
        msg("{file} was not sent: its arrays are not described.", file=text(file, 200))
        if arrays is None
        else msg(
            "{file}, which holds {arrays} arrays by the index, was not sent: their shapes are not known.",
            file=text(file, 200), arrays=arrays,
        )
    )  # fmt: skip
    action = msg("Send it too, or the beginning of it: its header.")
    return msgspec.structs.replace(_finding("index_missing_shard", "medium", file, what), action=action)


def check_size(index: Index, counted: Sequence[int]) -> list[Finding]:
    """A finding where `total_size` is none of the sums of bytes that may be meant."""
    declared = index.total_size
    if declared is None or declared in counted:
        return []
    return [declared_differs(msg("total_size of the index, in bytes"), declared, counted[0])]


def check_parameters(index: Index, fewest: int, most: int) -> list[Finding]:
    """A finding where `total_parameters` is beyond what was counted without and with buffers and repeats."""
    declared = index.total_parameters
    if declared is None or fewest <= declared <= most:
        return []
    return [declared_differs(msg("total_parameters of the index"), declared, fewest)]


def _missing_shards(index: Index, held: Mapping[str, Iterable[str]]) -> list[Finding]:
    counts: dict[str, int] = {}
    for file in index.weight_map.values():
        counts[file] = counts.get(file, 0) + 1
    return [missing_shard(file, counts[file]) for file in sorted(counts) if file not in held]


def _missing_tensors(
    wanted: Mapping[str, str], held: Mapping[str, Iterable[str]], owners: Mapping[str, list[str]]
) -> list[Finding]:
    return [
        _finding(
            "index_missing_tensor", "high", name,
            msg("The index says that {name} is in {file}; it is not.", name=text(name, 200), file=text(file, 200)),
        )
        for name, file in wanted.items()
        if name not in owners and file in held
    ]  # fmt: skip


def _wrong_shards(wanted: Mapping[str, str], owners: Mapping[str, list[str]]) -> list[Finding]:
    return [
        _finding(
            "index_wrong_shard", "high", name,
            msg(
                "The index says that {name} is in {file}, but it is in {other}.",
                name=text(name, 200), file=text(file, 200), other=text(owners[name][0], 200),
            ),
        )
        for name, file in wanted.items()
        if name in owners and file not in owners[name]
    ]  # fmt: skip


def _unlisted_shard(file: str) -> Finding:
    what = msg("{file} was sent, but the index does not name it.", file=text(file, 200))
    return _finding("index_unlisted_shard", "medium", file, what)


def _doubled(name: str, files: Sequence[str]) -> Finding:
    what = msg(
        "{name} is in {n} files: {files}.",
        name=text(name, 200), n=len(files), files=[text(file, 200) for file in files[:10]],
    )  # fmt: skip
    return _finding("index_doubled_tensor", "high", name, what, msg("Which of them is loaded depends on the loader."))


def _unlisted(name: str, file: str) -> Finding:
    what = msg("{name} is in {file}, but the index does not name it.", name=text(name, 200), file=text(file, 200))
    return _finding("index_unlisted_tensor", "high", name, what)


def _finding(rule: str, severity: Severity, path: str, what: Message, why: Message | None = None) -> Finding:
    return Finding(rule=rule, severity=severity, path=text(path), what=what, why=why)
