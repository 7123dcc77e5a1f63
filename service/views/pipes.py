"""Tables of GitHub-flavoured Markdown; knows their syntax only: whoever fills the cells has made them harmless."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from service.language import Message
from service.translation import Say


def table(headings: Iterable[Message], lines: Iterable[Iterable[str]], say: Say) -> Iterator[str]:
    """The lines of a table, and the empty one that ends it."""
    said = [say(heading) for heading in headings]
    yield _row(said)
    yield _row("---" for _ in said)
    yield from (_row(line) for line in lines)
    yield ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.strip() for cell in cells)} |"
