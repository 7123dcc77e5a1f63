"""Writes `formats.md` from what the readers say of themselves, the tests' real files, and what was seen of others.

    python docs/make_formats.py

Runs in the service's environment. `formats_seen.toml` holds only what was really seen: a tool, its version, a file;
`formats_written.toml` what the tests read where no package ships a format.
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
archive is found and analysed, and `models` in the report lists them; training states that lie in a folder with one
model (`optimizer.pt`, `rng_state.pth`) are states of that model. A format's code is the one file named for it in
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
    facts = real_files(), written(), tomllib.loads((HERE / "formats_seen.toml").read_text(encoding="utf-8"))
    table = ["| format | `format` | framework | endings | files |", "| --- | --- | --- | --- | --- |"]
    several = {reader.FORMAT.id for reader in load_readers() if hasattr(reader, "find")}
    table += [_row(one, one.id in several) for one in known]
    parts = [HEAD, "\n".join(table), *("\n".join(_section(one, *facts)) for one in known)]
    return "\n\n".join(parts).rstrip() + "\n"


def real_files() -> dict[str, list[str]]:
    """Files of public packages that the tests read, by format."""
    found: dict[str, list[tuple[str, str]]] = {}
    for manifest in sorted(PACKAGES.glob("*.toml")):
        for name, package in tomllib.loads(manifest.read_text(encoding="utf-8"))["package"].items():
            for file in package["file"]:
                version = file.get("version", package["version"])
                found.setdefault(file["format"], []).append((f"`{name}` {version}", file["path"]))
    return {one: [f"{package}: {_name(path, held)}" for package, path in held] for one, held in found.items()}


def written() -> dict[str, str]:
    """What the tests read of formats that no package ships."""
    found: dict[str, str] = tomllib.loads((HERE / "formats_written.toml").read_text(encoding="utf-8"))
    return found


def _name(path: str, held: list[tuple[str, str]]) -> str:
    """A file's name, with its folder where another file of the format is called the same."""
    alike = {other for _, other in held if Path(other).name == Path(path).name}
    return Path(path).name if len(alike) == 1 else "/".join(path.replace("!/", "/").split("/")[-2:])


def _row(one: Format, several: bool) -> str:
    endings = " ".join(f"`{ending}`" for ending in one.extensions)
    anchor = english(one.title)
    return f"| {anchor} | `{one.id}` | {_frameworks(one)} | {endings} | {'one or several' if several else 'one'} |"


def _frameworks(one: Format) -> str:
    return " ".join(title_of(word.strip(",")) + ("," if word.endswith(",") else "") for word in one.framework.split())


def _section(
    one: Format, real: dict[str, list[str]], made: dict[str, str], seen: dict[str, list[str]]
) -> Iterator[str]:
    yield f"## {english(one.title)}"
    yield f"`{one.id}`. **Read**: {english(one.reads)}"
    if english(one.leaves):
        yield f"\n**Not read**: {english(one.leaves)}"
    if one.id in real:
        yield f"\n**Real files**: {'; '.join(dict.fromkeys(real[one.id]))}."
    if one.id in made:
        yield f"\n**Real files**: none was found in a package. {made[one.id]}"
    for sentence in seen.get(one.id, []):
        yield f"\n**Seen of other tools**: {sentence}"


if __name__ == "__main__":
    main()
