"""The kind of each layer of a tree of named arrays: by structure, by names, by what follows, by all the others.

Layers with like arrays at like places are looked at once. Knows names and shapes, no file.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from service.catalog.families_lookup import told_by
from service.catalog.families_words import WORDS
from service.catalog.named_arrays import Sizes, Stored
from service.catalog.named_leaves import NORM_ROLES, ROLES, guess_by_leaves
from service.catalog.named_tree import Node, called, word
from service.catalog.packing_rules import SCALES, Packed, unpacked
from service.catalog.packing_schemes import Scheme, scheme_at
from service.catalog.torch_names import (
    EMBEDDING_NOTE,
    GROUP_NORM_NOTE,
    LAYER_NORM_NOTE,
    LINEAR_NOTE,
    LONE_NORM_NOTE,
    RMS_NORM_NOTE,
    by_name,
)
from service.catalog.torch_parametrized import computed
from service.catalog.torch_rules import (
    INSTANCE_NOTE,
    SQUARE_NOTE,
    Guess,
    convolution_before,
    convolution_rank,
    guess,
    is_convolution_shaped,
    main_weight,
)
from service.language import msg

CONVOLUTION_NOTE = msg("Told by its name: a ConvTranspose of other sizes stores a kernel of the same shape.")
_CONVOLUTION_NAMES = frozenset({"weight", "bias", "weight_g", "weight_v", "weight_orig", "weight_u"})
_PLAIN = ("weight", "bias", "running_", "parametrizations", "in_proj", "lora", "q_proj", "k_proj", "v_proj")
_CONV = re.compile(r"(?:^|_)conv(?:\dd)?(?:\d|_|$)")
_TRANSPOSED = re.compile(r"trans|deconv|up|tconv")
_NO_GUESS = Guess()
EXPERTS = WORDS["experts"]

Shapes = dict[str, Sizes | None]


@dataclass(slots=True)
class Profile:
    """What layers with like arrays at like places have in common.

    Attributes:
        structure: What the names of arrays and their sizes tell.
        named: What the layer's own name tells beside them.
        packed: The packed kernel that the arrays are.
    """

    structure: Guess
    named: Guess
    packed: Packed | None


Profiles = dict[Hashable, Profile]


def conclude(nodes: Mapping[str, Node], scheme: Scheme) -> list[tuple[Node, Profile]]:
    """Set the kind of each layer; the layers that hold arrays, with what is common to layers like them."""
    profiles: Profiles = {}
    order: list[tuple[Node, Profile]] = []
    for node in nodes.values():
        if node.arrays:
            key = likeness(node, scheme)
            profile = profiles.get(key)
            if profile is None:
                profile = profiles[key] = _profile(node, scheme)
            node.guess = profile.structure
            order.append((node, profile))
    if any(profile.structure.kind == "unknown" for profile in profiles.values()):
        _by_following_norm(order)
        for node, profile in order:
            if node.guess.kind == "unknown":
                node.guess = profile.named
        _by_the_others(order)
    return order


def likeness(node: Node, scheme: Scheme) -> Hashable:
    """Equal for layers of which the same can be said: place, names, types, and as much of the sizes as decides."""
    arrays = node.arrays
    own = scheme.overrides.get(node.path) if scheme.overrides else None
    if len(arrays) == 1:
        ((local, one),) = arrays.items()
        known = local if local in _KNOWN or local.startswith(_PLAIN) else "?"
        rank = None if one.shape is None else len(one.shape)
        return node.tail, node.version, tuple(node.children), known, one.dtype, rank, _told(one), own
    held = tuple([(local, one.dtype, _told(one)) for local, one in arrays.items()])
    return node.tail, node.version, tuple(node.children), held, _form(arrays), own


def _told(one: Stored) -> Hashable:
    """What the file itself says of an array."""
    told = (one.role, one.group, one.trainable, one.statistic, one.content)
    return None if told == _UNTOLD else told


_UNTOLD = (None,) * 5
_KNOWN = frozenset({*ROLES, *NORM_ROLES, "kernel", "weight", "bias"})


def _form(arrays: Mapping[str, Stored]) -> Hashable:
    """Rank of a weight beside its bias, and which of their sizes are equal; of all other arrays all sizes."""
    weight, bias = arrays.get("weight"), arrays.get("bias")
    if len(arrays) == 2 and weight is not None and bias is not None:
        first, second = weight.shape, bias.shape
        if first is not None and second is not None and len(second) == 1 and 1 <= len(first) <= 2:
            return len(first), first[0] == second[0], first[-1] == second[0]
    return tuple([one.shape for one in arrays.values()])


def shapes_of(arrays: Mapping[str, Stored], packed: Packed | None = None) -> Shapes:
    """Shapes by local name as PyTorch's classes have them: parametrised and packed kernels as what they stand for."""
    found: Shapes = {local: one.shape for local, one in arrays.items() if one.role is None and local not in SCALES}
    if packed is not None:
        found = {local: shape for local, shape in found.items() if local not in packed.parts}
        if not packed.several:
            found["weight"] = packed.shape
    return computed(found)


def _profile(node: Node, scheme: Scheme) -> Profile:
    packed = unpacked(node.arrays, scheme_at(scheme, node.path))
    shapes = shapes_of(node.arrays, packed)
    inside = [name for name in node.children if name != "parametrizations"]
    leaves = guess_by_leaves(shapes, node.name)
    structure = leaves or guess(shapes, inside, node.version)
    named = structure
    if structure == _NO_GUESS:
        named = _by_names(node, shapes, inside)
        if packed is not None and named.kind == "unknown":
            named = Guess("parameter" if packed.several else "linear")
        elif named.kind == "unknown" and "SCB" in node.arrays:
            named = Guess("linear")
        elif named.kind == "unknown" and _are_experts(node):
            named = Guess("parameter")
    if packed is not None:
        structure = named = replace(named, notes=(*(() if named.kind == "linear" else named.notes), *packed.notes))
    return Profile(_with_part(structure, node, shapes), _with_part(named, node, shapes), packed)


def _by_names(node: Node, shapes: Shapes, inside: list[str]) -> Guess:
    found = _by_family(node, shapes, inside) or by_name(called(node), shapes, inside)
    return found or _convolution(node, shapes) or _NO_GUESS


def _are_experts(node: Node) -> bool:
    """Whether a layer holds the kernels of all experts, each in one array under a name of its own."""
    return not node.children and any(is_experts(node, local, one.shape) for local, one in node.arrays.items())


def is_experts(node: Node, local: str, shape: Sizes | None) -> bool:
    """Whether an array holds the kernels of all experts."""
    return shape is not None and len(shape) == 3 and told_by((*node.tail, word(local)), 3) is EXPERTS


def _with_part(found: Guess, node: Node, shapes: Shapes) -> Guess:
    """`found` with the part that the layer has in an attention, where its name tells one."""
    kernel = shapes.get("kernel") if "kernel" in shapes else main_weight(shapes)
    if kernel is None or found.part or (found.kind != "linear" and not found.kind.startswith("conv")):
        return found
    told = told_by(node.tail, len(kernel))
    pointwise = len(kernel) == 2 or all(size == 1 for size in kernel[2:])
    return replace(found, part=told.part) if told is not None and told.part and pointwise else found


def _by_family(node: Node, shapes: Shapes, inside: list[str]) -> Guess | None:
    """The kind that the names of the common families tell, where the arrays fit it."""
    weight = shapes.get("weight")
    if weight is None or inside or not shapes.keys() <= {"weight", "bias"}:
        return None
    told = told_by(node.tail, len(weight))
    kind = None if told is None else told.kinds[len(weight)]
    if kind is None or _OTHER_NORM.search(node.name.lower()):
        return None
    if len(weight) == 1:
        return _norm(kind, weight, shapes)
    if kind == "embedding":
        return Guess(kind, (EMBEDDING_NOTE,)) if "bias" not in shapes else None
    if kind == "linear":
        return Guess(kind, (LINEAR_NOTE,) if len(weight) == 2 else ()) if "bias" not in shapes else None
    return _filter(kind, weight, shapes)


_OTHER_NORM = re.compile(r"batch|instance|(?:^|_)bn|weight_?norm|spectral")


def _norm(kind: str, weight: Sizes, shapes: Shapes) -> Guess | None:
    if "bias" not in shapes:
        note = RMS_NORM_NOTE if kind == "rms_norm" else LONE_NORM_NOTE
        return None if kind == "group_norm" else Guess(kind, (note,), norm=True)
    if shapes["bias"] != weight:
        return None
    grouped = kind == "group_norm"
    return Guess(kind if grouped else "layer_norm", (GROUP_NORM_NOTE if grouped else LAYER_NORM_NOTE,), norm=True)


def _filter(kind: str, weight: Sizes, shapes: Shapes) -> Guess | None:
    bias = shapes.get("bias")
    if bias is not None and (len(bias) != 1 or bias[0] != weight[0]):
        return None
    return Guess(kind, (SQUARE_NOTE if bias is not None and weight[0] == weight[1] else CONVOLUTION_NOTE,))


def _convolution(node: Node, shapes: Shapes) -> Guess | None:
    """A convolution that is called one."""
    weight, name = shapes.get("weight"), node.name.lower()
    if not is_convolution_shaped(weight) or weight is None or not shapes.keys() <= {"weight", "bias"}:
        return None
    if not _CONV.search(name) or any(_TRANSPOSED.search(step) for step in (*node.tail, name)):
        return None
    return _filter(f"conv{convolution_rank(weight)}", weight, shapes)


def _by_following_norm(order: Sequence[tuple[Node, Profile]]) -> None:
    for (node, profile), (following, _) in pairwise(order):
        if following.guess.kind != "batch_norm" or node.guess.kind != "unknown" or node.parent != following.parent:
            continue
        weight = main_weight(shapes_of(node.arrays, profile.packed))
        statistics = following.arrays.get("running_mean")
        features = None if statistics is None else statistics.shape
        kind = convolution_before(weight, features[0]) if weight is not None and features else None
        if kind:
            node.guess = Guess(kind)


def _by_the_others(order: Sequence[tuple[Node, Profile]]) -> None:
    """What could be a transposed convolution is none where the file has convolutions, and no transposed ones."""
    kinds = {node.guess.kind for node, _ in order}
    if not any(kind.startswith("conv") for kind in kinds):
        return
    for node, profile in order:
        if node.guess.kind != "unknown" or not node.arrays.keys() <= _CONVOLUTION_NAMES:
            continue
        weight = main_weight(shapes_of(node.arrays, profile.packed))
        if weight is None or not is_convolution_shaped(weight):
            continue
        rank = convolution_rank(weight)
        if f"conv{rank}" in kinds and f"conv_transpose{rank}" not in kinds:
            node.guess = _SQUARE[rank]


_SQUARE = {rank: Guess(f"conv{rank}", (SQUARE_NOTE,)) for rank in ("1d", "2d", "3d")}


def says_instance_norm(nodes: Iterable[Node]) -> bool:
    """Whether a batch norm may be an instance norm, which is said once for all."""
    return any(node.guess.notes and INSTANCE_NOTE in node.guess.notes for node in nodes)
