"""Low-rank pairs: rank × (inputs + outputs) beside a frozen kernel (Hu et al. 2021, arXiv:2106.09685).

Knows Keras' `enable_lora` (`lora_kernel_a` [inputs, rank], `lora_kernel_b` [rank, outputs]), loralib's `lora_A` [rank,
inputs] and `lora_B` [outputs, rank], peft, which makes each half a module of its own, and files that hold pairs alone.
"""

from __future__ import annotations

import math
import re

from service.enrich.explanations.addition import Addition
from service.enrich.explanations.recipe import MAX_NAMES, Recipe, Sum, counted, listed, names, term
from service.enrich.explanations.references import PAPERS
from service.enrich.explanations.shapes import Sizes, sizes
from service.enrich.explanations.weight_sum import weight_product
from service.language import Message, msg, sentences
from service.tree import Layer, Weight

_HALF = re.compile(r"^lora_(?:embedding_)?(?P<half>[AB])$")
_WAY = re.compile(r"(?<=lora_)(?:embedding_)?[AB](?=\.|$)|(?<=lora[_.])(?:up|down|mid)(?=\.)|_[ab]$")
_REFERENCE = PAPERS["lora"]


def addition(layer: Layer, framework: str) -> Addition | None:
    """The pairs that a layer holds itself; None if it holds none, and none was merged into its kernel."""
    held = tuple(weight for weight in counted(layer, framework) if half_of(weight))
    if not held:
        return None
    return Addition(weights=held, sums=_sums(held, framework), text=_text(held), expert=_expert(), reference=_REFERENCE)


def _sums(held: tuple[Weight, ...], framework: str) -> tuple[Sum, ...]:
    """One sum per pair; one per array where the arrays make no pairs."""
    halves: dict[tuple[str, str | None], list[Weight]] = {}
    for weight in held:
        halves.setdefault((_pair_name(weight), half_of(weight)), []).append(weight)
    names_of_pairs = list(dict.fromkeys(name for name, _ in halves))
    found: list[Sum] = []
    for name in names_of_pairs:
        first, second = halves.get((name, "a"), []), halves.get((name, "b"), [])
        paired = len(first) == len(second) == 1
        pair = _pair(sizes(first[0]), sizes(second[0]), keras=framework == "keras") if paired else None
        found.extend((pair,) if pair else [Sum(products=(weight_product(weight),)) for weight in (*first, *second)])
    return tuple(found)


def _pair_name(weight: Weight) -> str:
    """The name that both halves of a pair share: of an adapter, where there are several."""
    return _WAY.sub("", weight.name)


def half_of(weight: Weight) -> str | None:
    """`a` or `b` for one half of a low-rank pair, by role or by the names that libraries give it."""
    if weight.role in ("lora_a", "lora_b"):
        return weight.role[-1]
    match = _HALF.match(weight.name) if weight.name.startswith("lora_") else None
    return match["half"].lower() if match else None


def _pair(first: Sizes | None, second: Sizes | None, *, keras: bool) -> Sum | None:
    """`rank × (inputs + outputs)`; None where the two do not share a rank."""
    if not first or not second or len(first) < 2 or len(second) < 2:
        return None
    rank, other = (first[-1], second[-2]) if keras else (first[0], second[1])
    down, up = math.prod(first) // max(rank, 1), math.prod(second) // max(rank, 1)
    if rank != other or not rank:
        return None
    products = (
        (term("lora inputs", msg("values that the low-rank pair reads"), down),),
        (term("lora outputs", msg("values that the low-rank pair writes"), up),),
    )
    return Sum(outer=(term("rank", msg("rank of the low-rank pair"), rank),), products=products)


def _text(held: tuple[Weight, ...]) -> Message:
    return msg("A low-rank pair ({names}, {count} values) is trained in place of the kernel.",
               names=listed(names(held)), count=sum(weight.count or 0 for weight in held))  # fmt: skip


def _expert() -> Message:
    return msg("The rank decides what LoRA adds: rank × (inputs + outputs). Merged into the kernel it adds nothing.")


def merged(layer: Layer) -> Message | None:
    """Of a layer whose configuration has a rank but whose file has no pair: Keras merges them when it saves."""
    rank = layer.config.get("lora_rank")
    if type(rank) is not int or rank <= 0 or any(half_of(weight) for weight in layer.weights):
        return None
    return msg(
        "lora_rank={rank} is recorded: Keras merges the low-rank pair into the kernel when it saves, so the file has "
        "none; the loaded layer makes a new pair and counts it as well.", rank=rank,
    )  # fmt: skip


def adapter(layer: Layer, framework: str) -> Recipe | None:
    """The recipe of a layer that is one half of a pair (peft: `q_proj.lora_A.default`), or pairs alone; else None."""
    held = counted(layer, framework)
    halves = [weight for weight in held if half_of(weight)]
    if halves and all(half_of(weight) or weight.role == "weight_g" for weight in held):
        return _pairs_alone(held, framework)
    if "lora_" not in layer.path:
        return None
    half = next((match["half"] for match in map(_HALF.match, layer.path.split(".")[-2:]) if match), None)
    shape = sizes(held[0]) if len(held) == 1 else None
    if framework != "torch" or half is None or shape is None or len(shape) != 2:
        return None
    rank, features = shape if half == "A" else shape[::-1]
    what = msg("values that the low-rank pair reads") if half == "A" else msg("values that the low-rank pair writes")
    factors = (term("rank", msg("rank of the low-rank pair"), rank), term("features", what, features))
    return Recipe(
        sums=(Sum(products=(factors,)),),
        text=msg("One half of a low-rank pair (LoRA): {rank} × {features} weights that are trained beside a kernel.",
                 rank=rank, features=features),
        expert=sentences(_expert(), msg("The kernel itself stays in the layer base_layer.")),
        reference=_REFERENCE,
    )  # fmt: skip


def _pairs_alone(held: tuple[Weight, ...], framework: str) -> Recipe | None:
    """Pairs without the kernel that they change, as adapters are stored."""
    halves = tuple(weight for weight in held if half_of(weight))
    lengths = [weight for weight in held if not half_of(weight)]
    ranks = {shape[0] for weight in held if half_of(weight) == "a" and (shape := sizes(weight))}
    if len({half_of(weight) for weight in halves}) < 2 or any(len(sizes(weight) or ()) < 2 for weight in halves):
        return None
    return Recipe(
        sums=(*_sums(halves, framework), *(Sum(products=(weight_product(weight),)) for weight in lengths)),
        text=sentences(
            msg("The low-rank pair ({names}, {count} values) of rank {ranks} changes a kernel that is not in it.",
                names=listed(names(halves)), count=sum(weight.count or 0 for weight in halves),
                ranks=tuple(sorted(ranks))[:MAX_NAMES]),
            msg("{names} holds the length of each of the kernel's vectors (DoRA).", names=listed(names(lengths)))
            if lengths
            else None,
        ),
        expert=_expert(),
        reference=_REFERENCE,
    )  # fmt: skip
