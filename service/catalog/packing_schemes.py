"""How a model's configuration records that its weights are packed; knows `quantization_config`, no array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MAX_BITS = 32
_MAX_OVERRIDES = 100_000


@dataclass(frozen=True, slots=True)
class Scheme:
    """Bits of a packed value and values per group, as recorded; `overrides` by path of a layer (MLX)."""

    bits: int | None = None
    group: int | None = None
    overrides: Mapping[str, tuple[int | None, int | None]] = field(default_factory=dict)


def scheme_of(recorded: Mapping[str, Any] | None) -> Scheme:
    """The scheme that a `quantization_config` (or MLX's `quantization`) records; an empty one without it."""
    held = recorded or {}
    found = _numbers(held) if held else (None, None)
    if found[0] is None:
        found = _compressed(held.get("config_groups")) or found
    overrides = {
        path: _numbers(value)
        for path, value in list(held.items())[:_MAX_OVERRIDES]
        if isinstance(path, str) and "." in path and isinstance(value, Mapping)
    }
    return Scheme(*found, overrides)


def scheme_at(scheme: Scheme, path: str) -> Scheme:
    """The scheme of one layer."""
    own = scheme.overrides.get(path)
    return scheme if own is None else Scheme(*own)


def _numbers(held: Mapping[str, Any]) -> tuple[int | None, int | None]:
    weights = held.get("weight_quant_params")
    if isinstance(weights, Mapping):
        held = weights
    bits = next((held[key] for key in ("bits", "w_bit", "num_bits", "nbits") if key in held), None)
    group = next((held[key] for key in ("group_size", "q_group_size") if key in held), None)
    return _size(bits, _MAX_BITS), _size(group, 1 << 20)


def _size(value: Any, limit: int) -> int | None:
    return value if type(value) is int and 0 < value <= limit else None


def _compressed(groups: Any) -> tuple[int | None, int | None] | None:
    """That of compressed-tensors, where all groups of layers have the same one."""
    if not isinstance(groups, Mapping):
        return None
    found = {_numbers(one["weights"]) for one in groups.values()
             if isinstance(one, Mapping) and isinstance(one.get("weights"), Mapping)}  # fmt: skip
    return found.pop() if len(found) == 1 else None
