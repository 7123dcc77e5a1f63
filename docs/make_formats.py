"""Writes `formats.md` from what the readers say of themselves, the tests' real files, and what was seen of others.

    python docs/make_formats.py

Runs in the service's environment. `formats_seen.toml` holds only what was really seen: a tool, its version, a file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from service.formats import Format
from service.frameworks import title_of
from service.language import english
from service.registry import formats, load_readers

HERE = Path(__file__).parent
PACKAGES = HERE.parent / "tests" / "packages"
HEAD = """# What is read

Written by `make formats` from the readers themselves; a test fails where it is not up to date. Formats are told by
their content, never by a file's name. Several files of one model are sent together (`-F file=@a -F file=@b`, with their
paths as file names where they lie in folders) or as a zip, tar, tar.gz or tar.zst of the folder; each model in such an
archive is found and analysed, and `models` in the report lists them. A format's code is the one file named for it in
`service/readers`: [how to add one](adding-a-format.md).

"Real files" are files of public packages that nobody here made; the tests read each of them beside an independent
reader (`tests/packages`).
"""


def main() -> None:
    """Write the page."""
    (HERE / "formats.md").write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    known = sorted(formats(), key=lambda one: (english(one.title).lower(), one.id))
    real, seen = real_files(), tomllib.loads((HERE / "formats_seen.toml").read_text(encoding="utf-8"))
    table = ["| format | `format` | framework | endings | files |", "| --- | --- | --- | --- | --- |"]
    several = {reader.FORMAT.id for reader in load_readers() if hasattr(reader, "find")}
    table += [_row(one, one.id in several) for one in known]
    parts = [HEAD, "\n".join(table), *("\n".join(_section(one, real, seen)) for one in known)]
    return "\n\n".join(parts).rstrip() + "\n"


def real_files() -> dict[str, list[str]]:
    """Files of public packages that the tests read, by format."""
    found: dict[str, list[str]] = {}
    for manifest in sorted(PACKAGES.glob("*.toml")):
        for name, package in tomllib.loads(manifest.read_text(encoding="utf-8"))["package"].items():
            for file in package["file"]:
                found.setdefault(file["format"], []).append(f"`{name}` {package['version']}: {Path(file['path']).name}")
    return found


def _row(one: Format, several: bool) -> str:
    endings = " ".join(f"`{ending}`" for ending in one.extensions)
    anchor = english(one.title)
    return f"| {anchor} | `{one.id}` | {_frameworks(one)} | {endings} | {'one or several' if several else 'one'} |"


def _frameworks(one: Format) -> str:
    return " ".join(title_of(word.strip(",")) + ("," if word.endswith(",") else "") for word in one.framework.split())


def _section(one: Format, real: dict[str, list[str]], seen: dict[str, list[str]]) -> Iterator[str]:
    yield f"## {english(one.title)}"
    yield f"`{one.id}`. **Read**: {english(one.reads)}"
    if english(one.leaves):
        yield f"\n**Not read**: {english(one.leaves)}"
    if one.id in real:
        yield f"\n**Real files**: {'; '.join(dict.fromkeys(real[one.id]))}."
    for sentence in seen.get(one.id, []):
        yield f"\n**Seen of other tools**: {sentence}"


if __name__ == "__main__":
    main()
