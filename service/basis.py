"""What all frozen types of an answer stand on: immutability, shapes, and the words for group, source and status."""

from __future__ import annotations

from typing import Literal

import msgspec

Shape = tuple[int | None, ...]
"""Sizes along each axis; `None` where the size is not fixed (the batch axis is always `None`, never 1)."""

Group = Literal["trainable", "frozen", "statistic", "unknown", "optimizer", "ema", "other"]
"""trainable: learns by gradient. frozen: a parameter whose gradient is switched off. statistic: never learns by
gradient. unknown: the file does not say. optimizer, ema, other: not part of the model's own parameters."""

Source = Literal["recorded", "rule", "unknown"]
"""recorded: the file says it. rule: follows from what the thing is. unknown: nobody can tell from this file."""

Status = Literal["complete", "partial", "unavailable"]
Severity = Literal["critical", "high", "medium", "low", "info"]


class Frozen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Base of every type here: immutable, keyword-only, strict when decoded.

    Trees of these hold no cycles, so the garbage collector need not walk them: a large report decodes twice as fast.
    """
