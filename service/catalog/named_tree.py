"""Arrays by the dotted names they have, put at the layers that they belong to; knows names, not what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from service.catalog.named_arrays import Stored
from service.catalog.torch_parametrized import split_name
from service.catalog.torch_rules import Guess
from service.config import Limits
from service.errors import LimitExceeded
from service.language import msg

MAX_STEPS = 64
"""Names of more steps, or that begin with a dot, are no path: they are names of arrays of the model itself."""
_TAIL = 3
_NO_GUESS = Guess()
_CHILDLESS: list[str] = []
"""What all layers without layers inside share; never appended to."""
_DIGITS = "0123456789_"

_HALVES = frozenset({"lora_A", "lora_B", "lora_down", "lora_up", "lora_mid", "lora_embedding_A", "lora_embedding_B",
                     "lora_magnitude_vector"})  # fmt: skip
"""Steps inside a layer that hold one half of its low-rank pair (peft, kohya, diffusers)."""
_BESIDE = ("weight", "quant_state")
_WAYS = ("up", "down")
INSIDE = frozenset({"base_layer", "original_module"})
"""Steps that wrap a layer and say nothing of it (peft)."""


class Node(msgspec.Struct, gc=False):
    """One layer's path while the tree is put together.

    Attributes:
        tail: Last steps of the path as words: without numbers, in lower case; at most three.
        arrays: By local name, in the order of the file.
        values: What the file has at this path beside arrays.
        version: Of its class, where the file records it.
    """

    path: str
    name: str
    parent: str
    tail: tuple[str, ...] = ()
    arrays: dict[str, Stored] = msgspec.field(default_factory=dict)
    children: list[str] = msgspec.field(default_factory=lambda: _CHILDLESS)
    values: Mapping[str, Any] | None = None
    version: int | None = None
    guess: Guess = _NO_GUESS


def tree_of(
    arrays: Iterable[Stored | str],
    limits: Limits,
    versions: Mapping[str, int | None] | None = None,
    values: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Node]:
    """Every path, parents first, in the order of `versions` where these fit the names, else of storage.

    Args:
        arrays: In the order of the file; a text is the path of a layer whose arrays are not among them.
        limits: Of this analysis.
        versions: What the file records of layers' classes, by path.
        values: What it has beside arrays, by path.

    Raises:
        LimitExceeded: More layers than one analysis may describe.
    """
    held = _held(arrays)
    for path in values or ():
        held.setdefault(path, {})
    versions = versions or {}
    fits = bool(versions) and sum(path in versions for path in held) * 2 >= len(held)
    nodes: dict[str, Node] = {"": Node("", "", "", (), held.get("", {}))}
    for path in [*versions, *held] if fits else held:
        if path not in nodes:
            _add(nodes, path, held, limits)
    for path, version in versions.items():
        if path in nodes:
            nodes[path].version = version
    for path, found in (values or {}).items():
        nodes[path].values = found
    return nodes


def _held(arrays: Iterable[Stored | str]) -> dict[str, dict[str, Stored]]:
    """Arrays by the path of their layer and their name in it."""
    held: dict[str, dict[str, Stored]] = {}
    homes: dict[str, tuple[dict[str, Stored], str]] = {}
    names: dict[str, str] = {}  # equal names as one object: there are few, of many arrays
    for one in arrays:
        if isinstance(one, str):
            held.setdefault(one, {})
            continue
        path, _, name = one.name.rpartition(".")
        name = names.setdefault(name, name)
        if _is_plain(path):
            inside = held.get(path)
            if inside is None:
                held[path] = {name: one}
            else:
                inside[name] = one
            continue
        home = homes.get(path)
        if home is None:
            owner, prefix = _owner(path, name)
            home = held.setdefault(owner, {}), prefix
            if "parametrizations" not in path:  # there the name decides as well
                homes[path] = home
        inside, prefix = home
        inside[prefix + name if prefix else name] = one
    return held


def owner_of(name: str) -> str:
    """Path of the layer that an array of this name belongs to."""
    path, _, local = name.rpartition(".")
    return path if _is_plain(path) else _owner(path, local)[0]


def _is_plain(path: str) -> bool:
    """Whether `_owner` would find that arrays at `path` belong to the layer of that path, as nearly all do."""
    if "lora" in path or "parametrizations" in path or path.endswith(_BESIDE):
        return False
    return not path.startswith(".") and (len(path) <= MAX_STEPS or path.count(".") < MAX_STEPS)


def _owner(path: str, name: str) -> tuple[str, str]:
    """(path of the layer, what its name for the array starts with)."""
    if path.startswith(".") or (len(path) > MAX_STEPS and path.count(".") >= MAX_STEPS):
        return "", f"{path}."
    if "parametrizations" in path:
        owner, local = split_name(f"{path}.{name}")
        return owner, local[: len(local) - len(name)]
    above, _, last = path.rpartition(".")
    if last == "quant_state" and above.endswith(".weight"):
        return above[: -len(".weight")], "weight.quant_state."
    if last in _HALVES or (last == "weight" and above):
        return above, f"{last}."
    higher, _, before = above.rpartition(".")
    if before in _HALVES or (before == "lora" and last in _WAYS):
        return higher, f"{before}.{last}."
    return path, ""


def _add(nodes: dict[str, Node], path: str, held: Mapping[str, dict[str, Stored]], limits: Limits) -> None:
    """Add `path` and the parents it needs."""
    upper = path.rpartition(".")[0]
    missing: list[str] = []
    while upper not in nodes:
        missing.append(upper)
        upper = upper.rpartition(".")[0]
    above = nodes[upper]
    for found in [*reversed(missing), path]:
        name, tail = _step(found[len(above.path) + 1 :] if above.path else found, above.tail)
        if above.children:
            above.children.append(name)
        else:
            above.children = [name]
        above = nodes[found] = Node(found, name, above.path, tail, held.get(found) or {}, _CHILDLESS)
    if len(nodes) - 1 > limits.layers:  # the root is there in any case
        check_layers(len(nodes) - 1, limits)


def check_layers(count: int, limits: Limits) -> None:
    """LimitExceeded for more layers than one analysis may describe."""
    if count > limits.layers:
        raise LimitExceeded(
            "layers", limits.layers, msg("The file has more than {layers} layers.", layers=limits.layers)
        )


@lru_cache(maxsize=1 << 14)
def _step(name: str, tail: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """`name` and the tail of a layer that is called so below a layer of this tail, as the same objects each time."""
    step = "" if name in INSIDE else name.rstrip(_DIGITS).lower()
    return name, (*tail[1 - _TAIL :], step) if step else tail


def called(node: Node) -> str:
    """The name that tells what a layer is: of a wrapped one that of what wraps it."""
    return node.parent.rpartition(".")[2] if node.name in INSIDE else node.name


def word(step: str) -> str:
    """One step of a path as a word: `ln_1` is `ln`, `SelfAttention` `selfattention`, `12` nothing."""
    return step.rstrip(_DIGITS).lower()

