"""The files of an upload by their normal names; knows paths, no format."""

from __future__ import annotations

from collections.abc import Mapping

from service.source import Source


def normal_name(name: str) -> str:
    """`name` with `/` between its steps and nothing before the first."""
    return name.replace("\\", "/").removeprefix("./")


def normal(parts: Mapping[str, Source]) -> dict[str, Source]:
    """The parts by their normal names."""
    return {normal_name(name): source for name, source in parts.items()}


def base(name: str) -> str:
    """The last step of a normal name."""
    return name.rpartition("/")[2]


def folder(name: str) -> str:
    """What stands before the last step of a normal name, with its `/`; empty at the top."""
    return name[: len(name) - len(base(name))]
