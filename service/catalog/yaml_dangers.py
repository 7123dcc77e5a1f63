"""What a YAML text has a loader call: `_target_` of Hydra and NeMo, and the tags by which PyYAML makes Python objects.

Knows how keys, values and tags may be written; must not know documents as trees: the text is searched, nothing is
constructed. What only resembles one, in a text within quotation marks, counts as one; comments do not.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from urllib.parse import unquote

from service.catalog import torch_globals
from service.catalog.hydra_targets import severity_under
from service.catalog.listing import listed
from service.catalog.pickle_names import is_standard
from service.language import msg
from service.plain import text
from service.tree import Danger, Severity

codecs.lookup("utf-16")  # Python imports encodings on first need, and behind the wall that is too late
MAX_DANGERS = 100
TARGET = msg("Loading by Hydra or NeMo calls what this key names, with the values beside it.")
TARGET_REFERENCE = "CVE-2025-23304"
_TAG = msg("Reading this text by PyYAML without its safe loader makes or calls what the tag names.")
_TAG_REFERENCE = "https://github.com/yaml/pyyaml/wiki/PyYAML-yaml.load(input)-Deprecation"

_ESCAPED = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U(000[0-9a-fA-F]{5}|0010[0-9a-fA-F]{4})|(?:\r\n|\n|\r)[ \t]*)"
)
_BREAKS = "\n\r\x85\u2028\u2029"
_LINE = 300
"""How far back the beginning of a line is looked for."""
_COMMENT = re.compile(r"(?:^|\s)#")
_GAP = re.compile(r"(?:\s|#[^\n\r\x85\u2028\u2029]*)+")
_LONGEST_GAP = 4096
_BEFORE = re.compile(r"[&!]\S*(?=\s)|[|>][+\-0-9]*(?=\s)")
"""An anchor, a tag, or the mark of a text in lines of its own, before a value."""
_MOST_BEFORE = 4
_SCALAR = re.compile(r"[\"']?([^\s\"',\[\]{}]{0,200}\$\{[^}\n]{0,200}\}?|[^\s\"',\[\]{}]{1,500})")
_ANCHOR = re.compile(r"&([^\s,\[\]{}]{1,100})(?=\s)")
_MOST_ANCHORS = 1000
_HANDLE = re.compile(r"^%TAG[ \t]+(!(?:[\w-]*!)?)[ \t]+(\S{1,300})", re.MULTILINE)
_TAGGED = re.compile(r"!<([^>\s]{1,300})>|(!(?:[\w-]*!)?)([^\s,\[\]{}!<]{1,300})")
_PYTHON = "tag:yaml.org,2002:python/"
_STANDARD_HANDLES = {"!!": "tag:yaml.org,2002:"}


def of_yaml(data: bytes, member: str | None) -> list[Danger]:
    """Dangers of a YAML text, each once."""
    content = _ESCAPED.sub(_unescaped, _decoded(data))
    return list(listed(_once(chain(_tags(content, member), _targets(content, member))), MAX_DANGERS))


def _once(found: Iterable[Danger]) -> Iterator[Danger]:
    known: set[tuple[str, str | None]] = set()
    for danger in found:
        if (danger.code, danger.detail) not in known:
            known.add((danger.code, danger.detail))
            yield danger


def _decoded(data: bytes) -> str:
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if wide else "utf-8", "replace")


def _unescaped(found: re.Match[str]) -> str:
    digits = found[1] or found[2] or found[3]
    return chr(int(digits, 16)) if digits else ""


# Keys whose value is called


def _targets(content: str, member: str | None) -> Iterator[Danger]:
    anchors = _anchors(content)
    keys = [re.escape(f"*{name}") for name, value in anchors.items() if value == "_target_"]
    key = re.compile(r"(?<![\w.\-])(_target_|target" + "".join(f"|{name}" for name in keys) + r")[\"']?(?=[\s:])")
    for match in key.finditer(content):
        at = _after_gap(content, match.end())
        if content[at : at + 1] != ":":
            continue
        value = _value(content, at + 1)
        target = anchors.get(value[1:], value) if value.startswith("*") else value
        severity = severity_under(match[1], target)
        if severity is not None and not _is_comment(content, match.start()):
            detail = text(f"{match[1]}: {target}", 500)
            yield Danger(code="hydra_target", severity=severity, member=member, detail=detail, what=TARGET,
                         reference=TARGET_REFERENCE)  # fmt: skip


def _anchors(content: str) -> Mapping[str, str]:
    """Names that stand for a value, as far as that is a word."""
    return {found[1]: _value(content, found.end()) for found in islice(_ANCHOR.finditer(content), _MOST_ANCHORS)}


def _value(content: str, at: int) -> str:
    """The word that is the value from `at` on; empty where it is none."""
    at = _after_gap(content, at)
    for _ in range(_MOST_BEFORE):
        before = _BEFORE.match(content, at)
        if before is None:
            break
        at = _after_gap(content, before.end())
    found = _SCALAR.match(content, at)
    return found[1] if found else ""


def _after_gap(content: str, at: int) -> int:
    gap = _GAP.match(content, at, min(len(content), at + _LONGEST_GAP))
    return gap.end() if gap else at


def _is_comment(content: str, at: int) -> bool:
    """Whether `at` is behind a `#` that begins a comment: no quotation mark is between, so that it ends no text."""
    start = max(0, at - _LINE)
    if "#" not in content[start:at]:
        return False
    begin = max((content.rfind(mark, start, at) for mark in _BREAKS), default=-1)
    quoted = max(content.rfind(mark, start, at) for mark in "\"'")
    return _COMMENT.search(content[max(begin, quoted, start - 1) + 1 : at]) is not None


# Tags that make objects


def _tags(content: str, member: str | None) -> Iterator[Danger]:
    if "python" not in content and "%" not in content:
        return
    handles = {**_STANDARD_HANDLES, **{found[1]: found[2] for found in _HANDLE.finditer(content)}}
    for found in _TAGGED.finditer(content):
        whole = unquote(found[1] or handles.get(found[2], found[2]) + found[3])
        if not whole.startswith(_PYTHON):
            continue
        kind, _, name = whole.removeprefix(_PYTHON).partition(":")
        severity = _severity_of(kind, name)
        if severity is not None and not _is_comment(content, found.start()):
            detail = text(f"!!python/{kind}:{name}", 500)
            yield Danger(code="yaml_tag", severity=severity, member=member, detail=detail, what=_TAG,
                         reference=_TAG_REFERENCE)  # fmt: skip


def _severity_of(kind: str, name: str) -> Severity | None:
    """How bad a tag is: what is called, what is made, what is only named; numbers, texts and lists are none."""
    if kind not in ("object/apply", "object/new", "object", "name", "module"):
        return None
    module, _, last = name.rpartition(".")
    module = module or ("builtins" if kind != "module" else name)
    if kind != "module" and torch_globals.is_harmless(module, last):
        return "low"
    runs = torch_globals.runs_code(module, last) or is_standard(module)
    if kind in ("name", "module"):
        return "high" if runs else "medium"
    return "critical" if runs else "high"
