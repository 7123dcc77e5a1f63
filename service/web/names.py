"""Names that clients give to files: kept as data, checked, and never used as paths. Knows no HTTP."""

from __future__ import annotations

import unicodedata

from service.errors import RequestError
from service.language import msg

MAX_NAME = 1024
"""Longest accepted name, in characters: the longest path of any real archive member is shorter."""
MAX_DEPTH = 32
DEFAULT = "upload"


def clean(name: str | None, pointer: str = "filename") -> str:
    """A relative, normalised name with `/` between steps; RequestError for one that could mean something else.

    Browsers and command lines send whole local paths: a drive, a leading `/` and `./` are taken off.
    """
    if not name:
        return DEFAULT
    text = unicodedata.normalize("NFC", name)
    if len(text) > MAX_NAME:
        raise RequestError(msg("The file name is longer than {maximum} characters.", maximum=MAX_NAME), pointer=pointer)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise RequestError(msg("The file name holds control characters."), pointer=pointer)
    steps = [step for step in text.replace("\\", "/").split("/") if step not in ("", ".")]
    if steps and len(steps[0]) == 2 and steps[0][1] == ":":
        steps = steps[1:]
    if ".." in steps or len(steps) > MAX_DEPTH:
        raise RequestError(msg("The file name leads out of its folder, or too deep into one."), pointer=pointer)
    return "/".join(steps) or DEFAULT
