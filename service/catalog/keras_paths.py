"""Layer paths that occur once each; knows how they are joined, not what they lead to."""

from __future__ import annotations

from collections.abc import Iterable


class Paths:
    """Hands out paths; a name that occurs twice in one place is numbered `name~2`, `name~3` ...

    A hostile file may name 100,000 layers alike, so the last number of each name is remembered.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._numbers = dict.fromkeys(taken, 1)

    def take(self, parent: str | None, name: str) -> str:
        """The path of `name` in `parent`, not handed out before."""
        wanted = path = f"{parent}/{name}" if parent else name
        number = self._numbers.get(wanted, 0)
        while path in self._numbers:
            number += 1
            path = f"{wanted}~{number}" if number > 1 else wanted
        self._numbers[path] = 1
        self._numbers[wanted] = max(number, 1)
        return path
