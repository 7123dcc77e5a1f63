"""Keys of dictionaries and members of sets in a pickle, held to what can be hashed and compared cheaply.

Knows plain values; must not know opcodes. Python hashes and compares nested tuples and frozen sets by recursion and
without a bound, and its hash of large numbers can be made to collide at will.
"""

from __future__ import annotations

from typing import Any

from service.errors import LimitExceeded, MalformedFile
from service.language import msg

_NODES, _DEPTH = 256, 64
"""Most values, and levels, in one key."""
_FEW = 8
"""A key of more values is remembered, so that it is weighed once however often it is used."""
_MODULUS = 2**61 - 1
"""Python's hash of a whole number is its remainder by this."""
_MOST_LARGE = 1000


class Keys:
    """What was seen of the keys of one pickle."""

    __slots__ = ("_large", "_weighed")

    def __init__(self) -> None:
        self._large = 0
        self._weighed: dict[int, tuple[Any, int]] = {}

    def check(self, key: Any, offset: int) -> None:
        """Nothing, if a key is fine.

        Raises:
            MalformedFile: It cannot be a key, or holds too much.
            LimitExceeded: Too many keys may collide.
        """
        self._weigh(key, offset, _DEPTH)

    def _weigh(self, key: Any, offset: int, depth: int) -> int:
        """How many values a key is made of."""
        kind = type(key)
        if kind is int:
            self._count_large(key, offset)
        elif kind in (dict, list, set, bytearray):
            raise MalformedFile(msg("A {type} cannot be a dictionary key.", type=kind.__name__), offset=offset)
        if kind not in (tuple, frozenset):
            return 1
        known = self._weighed.get(id(key))
        if known is not None:
            return known[1]
        nodes = 1
        for item in key:
            nodes += self._weigh(item, offset, depth - 1) if depth else _NODES
            if nodes > _NODES:
                raise MalformedFile(msg("A dictionary key holds too many values."), offset=offset)
        if nodes > _FEW:
            self._weighed[id(key)] = (key, nodes)
        return nodes

    def _count_large(self, value: int, offset: int) -> None:
        if -_MODULUS < value < _MODULUS:
            return
        self._large += 1
        if self._large > _MOST_LARGE:
            what = msg("Too many keys of dictionaries are numbers beyond 61 bits.")
            raise LimitExceeded("pickle_keys", _MOST_LARGE, what, offset=offset)
