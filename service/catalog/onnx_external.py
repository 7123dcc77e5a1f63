"""Tensors' values in other files: which of the uploaded parts is meant, and names that reach outside; reads nothing.

Source: https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from service.catalog.integrity import Extent, check_extents, listed
from service.language import msg
from service.plain import text
from service.tree import Danger, Finding

_OUTSIDE = re.compile(r"(?:^|/)\.\.(?:/|$)|^/|^[A-Za-z][A-Za-z0-9+.-]*:")
_MAX_DIGITS = 19
_ADVISORY = "CVE-2024-27318"


class Outside(NamedTuple):
    """Where values lie: the part that holds them, None if it was not uploaded; length None where nothing tells it."""

    part: str | None
    offset: int
    length: int | None


@dataclass(slots=True)
class Files:
    """The uploaded parts beside the model, and what is said of them.

    Attributes:
        folder: The model's own folder within the upload, with the separator, "" at the top.
        sizes: Parts by their names with plain separators.
        extents: What tensors claim of each part.
        missing: Files that were not uploaded, and how many tensors lie in each.
    """

    folder: str
    sizes: Mapping[str, int]
    extents: defaultdict[str, list[Extent]] = field(default_factory=lambda: defaultdict(list))
    missing: dict[str, int] = field(default_factory=dict)
    dangers: dict[str, Danger] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def find(self, entries: Sequence[tuple[str, str]], needed: int | None, tensor: str | None = None) -> Outside:
        """Where the values of a tensor of `needed` bytes lie; names that reach outside are never looked up.

        `tensor` is its name: a danger says where it was first met.
        """
        held = dict(entries)
        location = held.get("location", "")
        offset, length = _number(held.get("offset")) or 0, _number(held.get("length"))
        part = f"{self.folder}{normal(location)}"
        outside = [value for key, value in entries if key == "location" and reaches_outside(value)]
        for one in outside:  # of several, some readers take the first and others the last
            self.dangers.setdefault(one, _danger(one, tensor))
            part = ""
        if part not in self.sizes:
            shown = text(location, 200)
            self.missing[shown] = self.missing.get(shown, 0) + 1
            return Outside(None, offset, length)
        rest = max(0, self.sizes[part] - offset)
        return Outside(part, offset, length if length is not None else needed if needed is not None else rest)

    def checked(self) -> list[Finding]:
        """Findings on files that are missing or too short."""
        found = [_missing(name, count) for name, count in self.missing.items()]
        for part, extents in self.extents.items():
            unique = list({(one.begin, one.end): one for one in extents}.values())
            found.extend(check_extents(unique, self.sizes[part], member=text(part), holes=False))
        return [*listed("external_data_missing", found[: len(self.missing)]), *found[len(self.missing) :]]


def normal(name: str) -> str:
    """A relative name with plain separators and without `./`."""
    plain = name.replace("\\", "/")
    while plain.startswith("./"):
        plain = plain[2:]
    return plain


def reaches_outside(location: str) -> bool:
    """Whether a name is absolute, has a drive letter or goes up, on any system."""
    return _OUTSIDE.search(normal(location)) is not None


def _number(value: str | None) -> int | None:
    """A length or offset, written in decimal digits; None for anything else."""
    if value is None or not value.isascii() or not value.isdecimal() or len(value) > _MAX_DIGITS:
        return None
    return int(value)


def _danger(location: str, tensor: str | None) -> Danger:
    return Danger(
        code="onnx_external_path",
        severity="high",
        path=text(tensor, 500) if tensor else None,
        what=msg("The values of tensors are said to lie in a file outside the model's folder."),
        detail=text(location, 200),
        reference=_ADVISORY,
    )


def _missing(name: str, count: int) -> Finding:
    return Finding(
        rule="external_data_missing",
        severity="info",
        path=name,
        what=msg("The values of {tensors} tensors lie in {name}, which was not uploaded.", tensors=count, name=name),
        action=msg("Upload it together with the model if statistics or a comparison of values are wanted."),
    )
